# Background workers help a training: the version is the same to the byte
# whatever their number; none to be had is a notice; and however a training
# ends, its workers are gone within a second and no shared memory stays.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $node = PostgreSQL::Test::Cluster->new('workers');

$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
dynamic_shared_memory_type = mmap
max_worker_processes = 4
max_parallel_workers = 4
autovacuum = off
log_min_messages = info
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION mlops;
	SELECT format('CREATE TABLE flat AS
	               SELECT i %% 7 AS h, CASE WHEN i %% 5 > 0 THEN sqrt(i) END AS k, (ARRAY[''x'', ''y'', ''z''])[1 + i %% 3] AS kind,
	                      (i %% 4 + 1)::float8 AS w, hashfloat8(i) %% 10 > 4 * sin(i * 1.1) + i %% 3 AS label, %s
	                 FROM generate_series(1, 180000) i', string_agg(format('sin(i * %s::float8) AS v%s', 0.37 * j, j), ', '))
	  FROM generate_series(1, 50) j \gexec
	SELECT format('CREATE TABLE wide AS SELECT hashint4(i) %% 3 = 0 AS label, %s FROM generate_series(1, 140000) i',
	              string_agg(format('sin(i * %s::float8) AS v%s', 0.1 * j, j), ', '))
	  FROM generate_series(1, 120) j \gexec
});

# ---- the same bytes ----

my $train = q{CALL mlops_train('m', 'flat', 'label', algorithm => 'logistic_regression', weight => 'w')};

sub train_with
{
	my ($settings) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "$settings; $train");

	is($code, 0, "training with $settings");
	return $err;
}

my $alone = train_with('SET mlops.training_workers = 0');
my @told;

push @told, train_with("SET mlops.training_workers = $_") foreach (1, 2, 3);
unlike($_, qr/one process/, 'nothing is said where workers are') foreach (@told);
unlike($alone, qr/one process/, 'nothing is said where none are wanted');

my $none = train_with('SET max_parallel_workers = 0');

like($none, qr/NOTICE:  training runs in one process\n/, 'no worker to be had is a notice');
is(() = $none =~ /one process/g, 1, 'and one only');

my $small = train_with(q{SET mlops.max_training_memory = '130MB'});

like($small, qr/NOTICE:  training runs in one process.*max_training_memory/s, 'memory that would not suffice is a notice too');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT sha256), count(*) FROM mlops.version}), '1|6',
	'the same bytes with 0, 1, 2 and 3 workers, and where there are none');

# k-means reads the rows many times, and some passes are the leader's alone
foreach (0, 2)
{
	$node->safe_psql('postgres', qq{SET mlops.training_workers = $_;
		CALL mlops_train('clusters', 'flat', algorithm => 'kmeans', params => '{"k": 5}', exclude => '{label, w}', holdout => 0)});
}
is($node->safe_psql('postgres', q{SELECT count(DISTINCT sha256), count(*) FROM mlops.version WHERE model = 'clusters'}), '1|2',
	'k-means: the same bytes too');

# networks: batches large enough to be shared, and smaller ones; validation is shared too
foreach my $params ('{"max_epochs": 2}', '{"max_epochs": 1, "hidden": [64, 16], "batch_rows": 5000}')
{
	my $before = $node->safe_psql('postgres', q{SELECT coalesce(max(version), 0) FROM mlops.version WHERE model = 'network'});

	foreach (0, 1, 2)
	{
		$node->safe_psql('postgres', qq{SET mlops.training_workers = $_;
			CALL mlops_train('network', 'flat', 'label', weight => 'w', algorithm => 'mlp', params => '$params', holdout => 0)});
	}
	is($node->safe_psql('postgres', qq{SELECT count(DISTINCT sha256), count(*) FROM mlops.version WHERE model = 'network' AND version > $before}), '1|3',
		"mlp with $params: the same bytes too");
}

# trees: nodes of one tree, or trees of a forest
my %trees = (
	decision_tree => '{"max_depth": 8}',
	random_forest => '{"trees": 7, "max_depth": 8}',
	gradient_boosting => '{"trees": 3, "max_depth": 5, "subsample": 0.8, "early_stopping": 3}');

for my $learner (sort keys %trees)
{
	for my $target ('label', 'kind', 'k')
	{
		foreach (0, 1, 2)
		{
			my ($code, $out, $err) = $node->psql('postgres', qq{SET mlops.training_workers = $_;
				CALL mlops_train('${learner}_$target', 'SELECT * FROM flat WHERE k IS NOT NULL', '$target', algorithm => '$learner', params => '$trees{$learner}', weight => 'w', holdout => 0)});

			is($code, 0, "$learner for $target with $_ workers");
			unlike($err, qr/one process/, 'in as many processes as it should');
		}
		is($node->safe_psql('postgres', qq{SELECT count(DISTINCT sha256), count(*) FROM mlops.version WHERE model = '${learner}_$target'}), '1|3',
			"$learner for $target: the same bytes");
	}
}

# no place for any background worker
$node->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$node->restart;
like(train_with('SET mlops.training_workers = 2'), qr/NOTICE:  training runs in one process/, 'max_worker_processes exhausted is a notice');
$node->append_conf('postgresql.conf', "max_worker_processes = 4\n");
$node->restart;
is($node->safe_psql('postgres', q{SELECT count(DISTINCT sha256) FROM mlops.version WHERE model = 'm'}), '1', 'and the bytes are the same');

# ---- however it ends ----

my $postmaster;

sub workers
{
	open(my $ps, '-|', 'ps', '--no-headers', '-o', 'args', '--ppid', $postmaster) or die "ps: $!";
	my $n = grep { /mlops training worker for PID/ } <$ps>;

	close($ps);
	return $n;
}

sub segments
{
	my @files = glob($node->data_dir . '/pg_dynshmem/mmap.*');

	return scalar @files;
}

sub wait_until
{
	my ($condition, $seconds) = @_;
	my $end = time() + $seconds;

	until ($condition->())
	{
		return 0 if time() > $end;
		usleep(20_000);
	}
	return 1;
}

# starts a long training, does something when its workers are there, and looks what is left
sub ends_clean
{
	my ($how, $end, $expected, $algorithm) = @_;

	$algorithm //= 'logistic_regression';

	$postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my $before = segments();
	my ($in, $out, $err) = ('', '', '');
	my $session = IPC::Run::start(
		[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'SET mlops.training_workers = 2', '-c',
			qq{CALL mlops_train('long', 'wide', 'label', algorithm => '$algorithm', holdout => 0)} ],
		'<', \$in, '>', \$out, '2>', \$err);

	ok(wait_until(sub { workers() == 2 }, 60), "$how: the workers are there");
	cmp_ok(segments(), '>', $before, "$how: and shared memory");
	$end->();
	ok(wait_until(sub { workers() == 0 }, $expected eq 'finished' ? 60 : 1), "$how: the workers are gone");
	$session->finish;
	like($err, qr/$expected/, "$how: the session ended as it should") unless $expected eq 'finished';
	ok(wait_until(sub { segments() <= $before }, 5), "$how: no shared memory stays")
	  or diag(segments() . " segments, $before before");
}

my $pid = q{SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL%' AND pid <> pg_backend_pid()};

$node->safe_psql('postgres', 'SELECT 1');
ends_clean('finished', sub { }, 'finished');
ends_clean('cancel', sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend(($pid))") }, 'canceling statement due to user request');
ends_clean("cancel $_", sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend(($pid))") }, 'canceling statement due to user request', $_)
  foreach ('random_forest', 'gradient_boosting');
ends_clean('terminate', sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend(($pid))") }, 'terminating connection');

my ($code, $out, $err) = $node->psql('postgres', q{
	SET mlops.training_workers = 2;
	SET statement_timeout = '1500ms';
	CALL mlops_train('long', 'wide', 'label', algorithm => 'random_forest', params => '{"trees": 2000}', holdout => 0)});

like($err, qr/statement timeout/, 'statement_timeout holds');
ok(wait_until(sub { workers() == 0 }, 1), 'statement_timeout: the workers are gone');

my $log = slurp_file($node->logfile);

unlike($log, qr/mlops training worker/, 'workers come and go without a word in the log');

# a leader that is killed takes the server through its recovery, as any backend does
ends_clean('kill -9', sub { kill 'KILL', $node->safe_psql('postgres', $pid) }, 'closed the connection|lost');
ok(wait_until(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 30), 'the server comes back');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops.run WHERE model = 'long' AND status = 'lost'}), '2',
	'runs that were terminated or killed are shown as lost');
train_with('SET mlops.training_workers = 2');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT sha256) FROM mlops.version WHERE model = 'm'}), '1', 'and training goes on');

$node->stop;
done_testing();
