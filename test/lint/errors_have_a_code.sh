# An error that a user can reach has an SQLSTATE: ereport(ERROR) says errcode.
perl -0777 -ne '
	while (/\bereport\(\s*(ERROR|elevel)\s*,(.*?)\);/sg)
	{
		my ($text, $line) = ($2, 1 + (substr($_, 0, $-[0]) =~ tr/\n//));
		print "$ARGV:$line: ereport(ERROR) without errcode\n" if $text !~ /errcode|ml_errcode|ml_err/;
	}' $(find src -name '*.c' -o -name '*.h')
