# RealData: real tables and published results, for the tests that are checked
# against them. The folder is not part of the project: MLOPS_DATA names it, or
# it is looked for beside the checkout.
package RealData;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(data_folder data_json data_server is_relative coefficients facts train);

# The folder, or skips every test of the calling file and says so.
sub data_folder
{
	my $folder = $ENV{MLOPS_DATA} || dirname(__FILE__) . '/../../../shared/data';

	plan skip_all => "real data not found: set MLOPS_DATA to a folder with load.sql and the data files (looked in $folder)"
	  unless -f "$folder/load.sql";
	return abs_path($folder);
}

sub data_json
{
	my ($folder, $file) = @_;
	my $text = slurp_file("$folder/$file");

	return JSON::PP->new->allow_nonref->decode($text);
}

# A running server with the extension, and with every data set in schema ds
# where $load asks for it.
sub data_server
{
	my ($folder, $name, $load) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION mlops');
	if ($load)
	{
		my $here = Cwd::getcwd();

		chdir $folder or die "cannot enter $folder: $!";
		$node->command_ok(
			[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', 'load.sql' ],
			'the data sets load');
		chdir $here;
	}
	return $node;
}

# Trains and returns the version; arguments are SQL, given by name.
sub train
{
	my ($node, $model, $source, $target, %more) = @_;
	my $arguments = join '', map { ", $_ => $more{$_}" } sort keys %more;

	return $node->safe_psql('postgres',
		"SELECT mlops_train_now('$model', \$source\$$source\$source\$, '$target'$arguments)");
}

# { term => [estimate, std_error, p_value] } of a version
sub coefficients
{
	my ($node, $reference) = @_;

	return JSON::PP->new->decode($node->safe_psql('postgres',
			"SELECT json_object_agg(term, json_build_array(estimate, std_error, p_value)) "
		  . "FROM mlops_coefficients('$reference')"));
}

sub facts
{
	my ($node, $model, $version) = @_;

	return JSON::PP->new->decode($node->safe_psql('postgres',
			"SELECT facts FROM mlops.version WHERE model = '$model' AND version = $version"));
}

# Passes if got is within a relative error of the published value.
sub is_relative
{
	my ($got, $published, $tolerance, $name) = @_;
	my $error = !defined $got ? 'missing'
	  : $published == 0 ? abs($got)
	  : abs(($got - $published) / $published);

	ok($error ne 'missing' && $error <= $tolerance, $name)
	  or diag("got " . ($got // 'NULL') . ", published $published, relative error $error, allowed $tolerance");
}

1;
