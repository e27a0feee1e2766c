"""What servers from hell say, by name."""

from __future__ import annotations

import gzip

from tests.faults.hell import WELL, Script, answer, dripping, over_and_over, reset

TOKEN = "s3cret-t0ken"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
MIB = b"x" * 2**20

# Nothing of them ever ends: the clock for a whole answer does.
SILENT = {
    "it says nothing": Script(b""),
    "another protocol": Script(b"SSH-2.0-OpenSSH_9.9\r\n", listens=False),
    "mail": Script(b"220 mail.example.org ready\r\n", listens=False),
    "a header drips": Script(dripping(OK, b"x: y\r\n")),
    "a letter of a header drips": Script(dripping(OK + b"x: ", b"y")),
    "informed once, then silence": Script(b"HTTP/1.1 102 Processing\r\n\r\n"),
    "a body drips": Script(dripping(OK + b"content-length: 99999\r\n\r\n", b" ")),
    "chunks drip": Script(dripping(CHUNKED, b"1\r\n \r\n")),
    "the length of a chunk drips": Script(dripping(CHUNKED, b"0")),
    "a trailer drips": Script(dripping(CHUNKED + b"0\r\n", b"x: y\r\n")),
    "a body without an end drips": Script(dripping(OK + b"connection: close\r\n\r\n", b" ")),
    "longer than it comes, and open": Script(OK + b'content-length: 99\r\n\r\n{"status": "ok"}'),
}
# The same, and they keep everybody busy.
FLOODS = {
    "informed for ever": Script(over_and_over(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    "hints for ever": Script(over_and_over(b"", b"HTTP/1.1 103 E\r\nlink: </x>\r\n\r\n" * 100)),
    "chunks of one byte": Script(over_and_over(CHUNKED, b"1\r\nx\r\n" * 10_000)),
}
HUGE = {
    "a body without an end": Script(over_and_over(OK + b"connection: close\r\n\r\n", MIB)),
    "chunks without an end": Script(over_and_over(CHUNKED, b"100000\r\n" + MIB + b"\r\n")),
    "a huge body": Script(over_and_over(OK + b"content-length: 99999999999\r\n\r\n", MIB)),
    "a huge refusal": Script(
        over_and_over(b"HTTP/1.1 422 No\r\ncontent-length: 99999999999\r\n\r\n", MIB)
    ),
}
# These end by themselves, and `health` could take none for a VTN that is well.
BROKEN = {
    "it closes at once": Script(b"", ends=True),
    "it closes before the request": Script(b"", ends=True, listens=False),
    "it resets": Script(reset, ends=True),
    "the head ends early": Script(OK + b"content-le", ends=True),
    "headers without an end": Script(over_and_over(OK, b"x: " + b"y" * 1000 + b"\r\n")),
    "a header without an end": Script(over_and_over(OK + b"x: ", MIB)),
    "a status line without an end": Script(over_and_over(b"HTTP/1.1 200 ", MIB)),
    "it switches protocols": Script(
        b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" + b"\x00" * 9
    ),
    "longer than it comes": Script(OK + b'content-length: 99\r\n\r\n{"status": "ok"}', ends=True),
    "two lengths": Script(OK + b"content-length: 5\r\ncontent-length: 16\r\n\r\n" + b" " * 16),
    "a length below zero": Script(OK + b"content-length: -1\r\n\r\n{}", ends=True),
    "a length that is none": Script(OK + b"content-length: many\r\n\r\n{}", ends=True),
    "a length past all numbers": Script(OK + b"content-length: %d\r\n\r\n{}" % 10**30, ends=True),
    "a chunk past all numbers": Script(CHUNKED + b"F" * 30 + b"\r\n{}", ends=True),
    "a chunk of no length": Script(CHUNKED + b"pony\r\n{}\r\n", ends=True),
    "no version": Script(b"200 OK\r\n\r\n", ends=True),
    "no status": Script(b"HTTP/1.1 fine\r\n\r\n", ends=True),
    "a status of six figures": Script(b"HTTP/1.1 200000 OK\r\n\r\n", ends=True),
    "HTTP/2": Script(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18, ends=True),
    "TLS's word for plain HTTP": Script(b"\x15\x03\x03\x00\x02\x02\x46", ends=True),
    "nothing but noughts": Script(b"\x00" * 5000, ends=True),
    "a bare body": Script(b'{"status": "ok"}', ends=True),
    "the request itself": Script(b"{request}", ends=True),
    "the request as a header": Script(OK + b"{request}\r\n\r\n", ends=True),
    "the token as a header's name": Script(OK + b"(" + TOKEN.encode() + b"): x\r\n\r\n", ends=True),
}
DEEP = b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b', "status": "ok"}'
BOMB = gzip.compress(bytes(200 * 2**20))
NOT_A_VTN = {
    "an empty body": answer(b""),
    "a 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a 204 with a body": b"HTTP/1.1 204 No Content\r\ncontent-length: 16\r\n\r\n" + WELL,
    "deep nesting": answer(DEEP),
    "deep and open": answer(b"[" * 1_000_000),
    "deep objects": answer(b'{"x":' * 200_000),
    "UTF-16": answer('{"status": "ok"}'.encode("utf-16")),
    "UTF-32": answer('{"status": "ok"}'.encode("utf-32")),
    "Latin-1": answer('{"status": "Åbent"}'.encode("latin-1")),
    "a byte order mark": answer('{"status": "ok"}'.encode("utf-8-sig")),
    "half a character": answer(b'{"status": "ok\xe2\x82"}'),
    "half a surrogate": answer(b'{"status": "\\ud800"}'),
    "not finite": answer(b'{"status": NaN}'),
    "a page": answer(b"<html>ok</html>", "200 OK", "content-type: text/html"),
    "a huge number": answer(b'{"status": 1' + b"0" * 100_000 + b"}"),
    "a huge member": answer(b'{"status": "ok' + b"k" * 2**22),
    "compressed all the same": answer(
        gzip.compress(b'{"status": "ok"}'), "200 OK", "content-encoding: gzip"
    ),
    "a bomb": answer(BOMB, "200 OK", "content-encoding: gzip"),
    "shorter than it comes": OK + b'content-length: 9\r\n\r\n{"status": "ok"}',
}
AN_ANSWER = {
    "headers that come twice": answer(WELL, "200 OK", *["a: b"] * 50),
    "its length twice": answer(WELL, "200 OK", "content-length: 16"),
    "informed first": b"HTTP/1.1 100 C\r\n\r\n" * 3 + answer(WELL),
    "a header that is not ASCII": answer(WELL, "200 OK", "x: \xe5"),
    "and another answer": answer(WELL) + answer(b'{"status": "not asked"}'),
    "and something else": answer(WELL) + b"\r\n\r\nmore",
    "chunks, and a trailer": CHUNKED + b'10;a=b\r\n{"status": "ok"}\r\n0\r\nx: y\r\n\r\n',
}
REFUSALS = {
    "a 304 with a body": answer(WELL, "304 Not Modified"),
    "no detail": answer(b"", "400 Bad"),
    "detail of another shape": answer(b'{"detail": {"a": [1]}}', "422 No"),
    "detail without an end": answer(b'{"detail": "' + b"no " * 2**20 + b'"}', "422 No"),
    "very many fields": answer(
        b'{"detail": [' + b'{"loc": ["x"], "msg": "m"},' * 300_000 + b"{}]}", "422 No"
    ),
    "deep detail": answer(b'{"detail": ' + b"[" * 200_000, "422 No"),
    "a refusal in Latin-1": answer("Nej: på".encode("latin-1"), "422 No"),
    "control characters": answer(b'{"detail": "a\\u001b[31m\\r\\nb\\u202e"}', "400 Bad"),
    "control characters in a page": answer(b"a\x1b[31m\r\nb\x07", "400 Bad"),
    "its request repeated": answer(b'{"detail": "I got Bearer s3cret-t0ken"}', "400 Bad"),
    "its request repeated in a page": answer(b"<p>Bearer s3cret-t0ken", "500 Bad"),
    "a status of its own": answer(b"{}", "999 What"),
    "a bomb": answer(BOMB, "400 Bad", "content-encoding: gzip"),
}
