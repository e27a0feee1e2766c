"""A notebook-driven lab that plays a fleet of OpenADR VENs against a VTN."""
