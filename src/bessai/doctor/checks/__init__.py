"""What is looked at, one file a subject; `CHECKS` in `bessai.doctor` puts them in order."""
