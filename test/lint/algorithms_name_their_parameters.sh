# docs/algorithms.md has a section for every algorithm, which names each of its
# parameters, and no others in its table; those that all share stand in "What all
# have in common". A row of a table with one parameter states its default.
params=$(mktemp)
trap 'rm -f "$params"' EXIT
psql -X -At -F ' ' -v ON_ERROR_STOP=1 >"$params" <<'END'
SELECT algorithm, parameter, COALESCE(NULLIF(default_value, ''), '-') FROM mlops_params();
END
[ -s "$params" ] || { echo "mlops_params() lists nothing"; exit 1; }
perl - "$params" docs/algorithms.md <<'END'
use strict;
use warnings;

my ($params, $page) = @ARGV;
my (%default, %section, $title);

open my $list, '<', $params or die "$params: $!";
while (<$list>)
{
	my ($algorithm, $parameter, $default) = split;
	$default{$algorithm}{$parameter} = $default;
}
open my $text, '<', $page or die "$page: $!";
while (<$text>)
{
	$title = $1 if /^## (.*)/;
	$section{$title} .= $_ if defined $title;
}
my $common = $section{'What all have in common'} // '';

foreach my $algorithm (sort keys %default)
{
	my $own = $section{$algorithm};

	if (!defined $own) { print "$page has no section \"$algorithm\"\n"; next; }
	foreach my $parameter (sort keys %{$default{$algorithm}})
	{
		print "$page, $algorithm: does not name $parameter\n"
		  if $own !~ /`$parameter`/ && $common !~ /`$parameter`/;
	}
	# the table of parameters, whose third column is the range
	my ($table) = $own =~ /^\| parameter \| default \| range \|.*\n\|[-|]+\n((?:\|.*\n)+)/m;
	next if !defined $table;
	foreach my $row (split /\n/, $table)
	{
		my (undef, $first, $stated) = split /\s*\|\s*/, $row;
		my @names = $first =~ /`(\w+)`/g;

		foreach my $name (@names)
		{
			print "$page, $algorithm: $name is no parameter\n" if !exists $default{$algorithm}{$name};
		}
		next if @names != 1 || $stated eq '';
		my $is = $default{$algorithm}{$names[0]} // next;
		$stated =~ s/[`\[\]]//g;
		next if $is eq '-' || $is eq $stated;
		print "$page, $algorithm: the default of $names[0] is $is, not $stated\n"
		  if $is !~ /^[-\d.e+]+$/ || $stated !~ /^[-\d.e+]+$/ || $is != $stated;
	}
}
END
