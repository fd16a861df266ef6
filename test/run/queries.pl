# queries.pl
#	The queries of the dashboard and of the exporter's file, as SQL for psql: each
#	is run as it stands, with Grafana's macros and variables filled in. What a
#	dashboard or a query file must have besides is checked here.
#
#	usage: queries.pl folder model
use strict;
use warnings;

use JSON::PP;

my ($folder, $model) = @ARGV;

sub slurp
{
	my ($file) = @_;

	open my $handle, '<:raw', $file or die "cannot read $file: $!\n";
	local $/;
	return scalar <$handle>;
}

# ---- Grafana ----

sub filled_in
{
	my ($sql) = @_;

	$sql =~ s/\$__timeFilter\(([^()]+)\)/$1 BETWEEN now() - interval '30 days' AND now() + interval '1 day'/g;
	$sql =~ s/\$__timeTo\(\)/now() + interval '1 day'/g;
	$sql =~ s/\$model\b/$model/g;
	die "a macro or variable is not known: $sql\n" if $sql =~ /\$/;
	return $sql;
}

my $dashboard = JSON::PP->new->utf8->decode(slurp("$folder/dashboard.json"));
my %seen;
my %known = map { $_->{name} => 1 } @{ $dashboard->{templating}{list} };
die "the dashboard lacks a title, panels or variables\n"
  unless $dashboard->{title} && @{ $dashboard->{panels} } && $known{datasource} && $known{model};

sub target
{
	my ($name, $target) = @_;

	die "$name: no query\n" unless $target->{rawSql};
	printf "\\echo dashboard.json: %s\n%s;\n", $name, filled_in($target->{rawSql});
}

foreach my $panel (@{ $dashboard->{panels} })
{
	die "panel $panel->{title}: its number is used twice, or it has no place\n"
	  if $seen{ $panel->{id} }++ || !$panel->{gridPos}{w};
	die "panel $panel->{title}: not of the data source that is chosen\n" unless $panel->{datasource}{uid} eq '${datasource}';
	target($panel->{title}, $_) foreach @{ $panel->{targets} };
}
target($_->{name}, $_->{target}) foreach @{ $dashboard->{annotations}{list} };
foreach my $variable (grep { $_->{type} eq 'query' } @{ $dashboard->{templating}{list} })
{
	printf "\\echo dashboard.json: variable %s\n%s;\n", $variable->{name}, filled_in($variable->{query});
}

# ---- postgres_exporter: the part of YAML that its file is written in ----

my ($family, $query, $column, @columns);

# all columns, by name and in order, labels as text and numbers as float8
sub family
{
	return unless defined $family;
	die "$family: no query or no metrics\n" unless $query && @columns;
	die "$family: a metric without usage and description\n" if grep { !$_->{usage} || !$_->{description} } @columns;
	printf "\\echo postgres_exporter.yaml: %s\nCREATE TEMP VIEW exported AS %s;\n", $family, $query;
	print "SELECT ", join(', ', map { "$_->{name}::" . ($_->{usage} eq 'LABEL' ? 'text' : 'float8') } @columns), " FROM exported;\n";
	printf "SELECT 1 / (string_agg(attname, ' ' ORDER BY attnum) = '%s')::int AS columns FROM pg_attribute WHERE attrelid = 'exported'::regclass AND attnum > 0;\n",
	  join(' ', map { $_->{name} } @columns);
	print "DROP VIEW exported;\n";
	($query, @columns) = ('');
}

my $in_query = 0;
foreach (split /\n/, slurp("$folder/postgres_exporter.yaml"))
{
	if ($in_query && /^    (.*)/) { $query .= "$1\n"; next }
	$in_query = 0;
	if (/^(#.*)?$/) { next }
	elsif (/^(\w+):$/) { family(); $family = $1; $query = '' }
	elsif (/^  query: \|$/) { $in_query = 1 }
	elsif (/^  (cache_seconds: \d+|metrics:)$/) { next }
	elsif (/^    - (\w+):$/) { push @columns, { name => $1 } }
	elsif (/^        usage: "(LABEL|GAUGE|COUNTER)"$/) { $columns[-1]{usage} = $1 }
	elsif (/^        description: "([^"]+)"$/) { $columns[-1]{description} = $1 }
	else { die "postgres_exporter.yaml: cannot read \"$_\"\n" }
}
family();
