# Settings are defined in alphabetical order, so that one is found by its name.
grep -o 'DefineCustom[A-Za-z]*Variable("[a-z_.]*"' src/settings.c | sed 's/.*("//; s/"//' | LC_ALL=C sort -c 2>&1
