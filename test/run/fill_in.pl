# fill_in.pl DATABASE FILE
#	Prints a markdown file with real output in it: every ```sql block is run, in
#	order, in one session; a ```text block right behind it is replaced by what it
#	printed. The block between the demo's markers becomes the text of $DEMO. A line
#	that differs from what is there in seconds or identifiers only stays as it is.
use strict;
use warnings;

my ($database, $file) = @ARGV;
my $text = slurp($file);
my @blocks;

sub slurp { local $/; open my $in, '<', $_[0] or die "$_[0]: $!"; return <$in>; }

# one session, so that settings and temporary tables last; markers part the outputs
while ($text =~ /^```sql\n(.*?)^```\n/smg)
{
	push @blocks, $1;
}
my $script = "$ENV{SANDBOX}/fill_in.sql";

open my $out, '>', $script or die "$script: $!";
print $out "\\set QUIET on\n\\pset footer off\n\\set VERBOSITY terse\n\\set ON_ERROR_STOP on\n";
print $out "\\echo ==block==\n$_\n" foreach @blocks;
close $out;

my $printed = `psql -X -q -d $database -f $script 2>&1`;

die "an example failed:\n$printed" if $? != 0;

my (undef, @output) = split /^==block==\n/m, $printed;

my %there = map { alike($_) => $_ } split /^/m, $text;

$text =~ s{^(```sql\n.*?^```\n)(```text\n.*?^```\n)?}
		  {my $o = shift @output; $1 . (defined $2 ? "```text\n" . tidy($o) . "```\n" : '')}smge;
my $demo = tidy(slurp($ENV{DEMO}));
$text =~ s{(<!-- demo:.*?-->\n).*?(<!-- end of demo)}{$1```text\n$demo```\n$2}s;
print $text;

# without psql's prefix of the file's name, and without empty lines at the ends
sub tidy
{
	my ($t) = @_;

	$t =~ s/^psql:\S+?:\d+: //mg;
	$t =~ s/^\n+//;
	$t =~ s/\s+\z/\n/;
	return join '', map { $there{alike($_)} // $_ } split /^/m, $t;
}

# a line without what no two runs have in common
sub alike
{
	my ($line) = @_;

	$line =~ s/\b\d+\.\d\d s$/# s/;
	$line =~ s/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/#/;
	return $line;
}
