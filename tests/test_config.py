"""Settings: one table, later wins, one readable error."""

import math
from pathlib import Path

import pytest

import venlab as vl
from venlab.config import LabConfig, check_value, describe
from venlab.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_reading_covers() -> None:
    """Δ = step × report ÷ simulate interval: 15 min × 15 ÷ 30 is 7.5 min."""
    config = LabConfig(step_min=15, report_every_s=15, simulate_every_s=30)
    assert config.interval_min == 7.5
    assert LabConfig(step_min=15, report_every_s=60, simulate_every_s=30).interval_min == 30


def test_real_time_steps_are_simulate_intervals() -> None:
    """In real time a step of 30 s is half a minute and a reading covers 15 s."""
    config = LabConfig(realtime=True)
    assert (config.step, config.interval_min) == (0.5, 0.25)


@pytest.mark.parametrize(("hours", "steps"), [(3, 12), (0.25, 1), (0.1, 1), (2.3, 10)])
def test_hours_are_rounded_up_to_whole_steps(hours: float, steps: int) -> None:
    """A run is never shorter than asked for."""
    assert LabConfig(simulated_hours=hours).steps == steps


def test_arguments_win_over_the_file(tmp_path: Path) -> None:
    """Default, then file, then argument."""
    path = write(tmp_path, "[schedule]\nspeed = 5\nreport_every_s = 30\n")
    config = LabConfig.load(path, env={}, speed=60)
    assert (config.speed, config.report_every_s, config.vens) == (60, 30, 10)


def test_the_environment_names_the_file_and_holds_the_token(tmp_path: Path) -> None:
    """VENLAB_TOML is read; VENLAB_TOKEN is kept where no print shows it."""
    path = write(tmp_path, "[fleet]\nvens = 4\n")
    config = LabConfig.load(env={"VENLAB_TOML": str(path), "VENLAB_TOKEN": "s3cret"})
    assert config.vens == 4
    assert config.token.reveal() == "s3cret"
    assert "s3cret" not in f"{config!r} {config} {config.public()}"


def test_the_shipped_file_says_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """data/lab.toml can be copied and edited without changing what is not touched."""
    monkeypatch.chdir("/")
    assert LabConfig.load(env={}) == LabConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[schedule]\nreport_evry_s = 15\n", ["report_evry_s", "report_every_s?", "allowed are"]),
        ("[shedule]\nspeed = 1\n", ["[shedule]", "[schedule]?"]),
        ("[schedule]\nreport_every_s = -15\n", ["report_every_s is -15", "0.001"]),
        ("[schedule]\nreport_every_s = 'often'\n", ["report_every_s is 'often'", "float"]),
        ("[vtn]\ndialect = '4.0'\n", ["dialect is '4.0'", "'flat'"]),
        ("[vtn]\ntoken = 'x'\n", ["token", "allowed are"]),
        ("[vtn]\nclient_secret = 'x'\n", ["client_secret", "allowed are"]),
        ("speed = 1\n", ["speed"]),
        ("[schedule\n", ["not TOML"]),
    ],
)
def test_a_bad_file_is_one_error_that_says_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    """The error names the file, the key or value, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        LabConfig.load(write(tmp_path, text), env={})
    assert all(word in str(caught.value) for word in ["lab.toml", *words])


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Two mistakes, one error."""
    path = write(tmp_path, "[schedule]\nspeed = -1\n[fleet]\nvens = 0\n")
    with pytest.raises(ConfigError, match=r"(?s)speed is -1.*vens is 0"):
        LabConfig.load(path, env={})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A named file that is missing is an error, not a default."""
    with pytest.raises(ConfigError, match="cannot read"):
        LabConfig.load(tmp_path / "none.toml", env={})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vnes": 3}, "unknown parameter vnes .did you mean vens"),
        ({"seed": "pony"}, "seed is 'pony', allowed is int from 0"),
        ({"speed": -1}, "speed is -1, allowed is float above 0"),
        ({"speed": math.nan}, "speed is nan"),
        ({"vens": True}, "vens is True"),
        ({"vens": 3.0}, "vens is 3.0"),
        ({"realtime": "false"}, "realtime is 'false', allowed is bool"),
        ({"start": "2023-03-26T02:30"}, "start: "),
        ({"start": "soon"}, "start: "),
        ({"report_every_s": 20}, "one must divide the other"),
        ({"report_every_s": 7, "simulate_every_s": 28, "step_min": 0.25}, "whole seconds"),
        ({"step_min": 20}, "a step is 1200 s"),
        ({"realtime": True, "simulate_every_s": 7}, "a step is 7 s"),
        ({"in_flight": 9}, "in_flight is 9"),
        ({"simulated_hours": math.inf}, "simulated_hours is inf"),
        ({"simulated_hours": 1e9}, "simulated_hours is 1000000000.0"),
        ({"events_every_s": 1e-7}, "events_every_s is 1e-07"),
        ({"status_every_s": math.inf}, "status_every_s is inf"),
        ({"timeout_s": math.inf}, "timeout_s is inf"),
        ({"report_every_s": 1 / 3, "simulate_every_s": 1}, "one must divide the other"),
        ({"vtn_url": "http://[::1"}, "vtn_url is"),
        ({"vtn_url": "http://127.0.0.1:99999"}, "vtn_url is"),
        ({"vtn_url": "http://127.0.0.1:pony"}, "vtn_url is"),
        ({"vtn_url": "http://127.0.0.1/flat?run=1"}, "vtn_url is"),
        ({"vtn_url": "http://a town/"}, "vtn_url is"),
        ({"token_url": "127.0.0.1/token"}, "token_url is"),
        ({"auth_style": "digest"}, "auth_style is 'digest', allowed is one of 'body', 'basic'"),
        ({"vtn_url": "http://pasted\u200b.example.org"}, "vtn_url is"),
    ],
)
def test_params_refuses_wrong_names_types_and_values(values: dict[str, object], words: str) -> None:
    """The notebook's second cell stops with one line, in plain papermill too."""
    with pytest.raises(ConfigError, match=words):
        vl.params(**values)


def test_parts_of_a_second_may_divide_each_other() -> None:
    """A tenth divides three tenths, whatever binary fractions make of it."""
    assert vl.params(report_every_s=0.1, simulate_every_s=0.3).interval_min == pytest.approx(5)


@pytest.mark.parametrize("url", ["http://me:s3cret@127.0.0.1/", "me:s3cret@[::1", "ftp://s3cret@x"])
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    """It would be written to params.json, summary.json, log and messages."""
    with pytest.raises(ConfigError, match="VENLAB_TOKEN") as caught:
        vl.params(vtn_url=url)
    assert "s3cret" not in str(caught.value)


def test_a_token_is_hidden_however_it_came() -> None:
    """A plain text as argument too; and the line break that a file ends with is not part of it."""
    config = vl.params(token="s3cret")
    assert config.token.reveal() == "s3cret"
    assert "s3cret" not in f"{config!r} {config.public()}"
    assert LabConfig.load(env={"VENLAB_TOKEN": "s3cret\r\n"}).token.reveal() == "s3cret"


def test_the_secret_of_an_oauth2_client() -> None:
    """It comes from the environment; where tokens are to be asked for, it and the id are needed."""
    named = {"vtn_url": "http://127.0.0.1/", "token_url": "http://127.0.0.1/token"}
    env = {"VENLAB_CLIENT_SECRET": "s3cret\n"}
    config = LabConfig.load(env=env, **named, client_id="lab")
    assert config.client_secret.reveal() == "s3cret"
    assert "s3cret" not in f"{config!r} {config.public()}"
    for incomplete in ({"env": {}, "client_id": "lab"}, {"env": env}):
        with pytest.raises(ConfigError, match="client_id, and the secret in VENLAB_CLIENT_SECRET"):
            LabConfig.load(**named, **incomplete)


def test_params_takes_the_settings_of_a_cell() -> None:
    """Of a notebook's globals only the settings count."""
    assert vl.params({"vens": 3, "pandas": object(), "_": 1}).vens == 3


def test_a_changed_copy_is_checked_too() -> None:
    """`but` cannot make what could not be loaded."""
    assert LabConfig().but(vens=2).vens == 2
    with pytest.raises(ConfigError, match="vens is 0"):
        LabConfig().but(vens=0)


def test_every_setting_is_described() -> None:
    """Each has a section, a type or range, and a meaning."""
    assert all(all(part for part in row) for row in describe())
    assert check_value("speed", 1.0) == ""
    assert "speed" in check_value("speed", -1.0)
    assert "unknown" in check_value("pony", 1)
