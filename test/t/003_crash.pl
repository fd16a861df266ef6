# A training whose server or backend dies leaves nothing that looks alive: its
# run is shown as lost, never as running, and what served goes on serving.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');

$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION mlops;
	CREATE TABLE point (x float8, y float8);
	INSERT INTO point SELECT i, 3 + 2 * i + (i % 5) FROM generate_series(1, 200) i;
	CALL mlops_train('line', 'point', target => 'y', algorithm => 'linear_regression');
	SELECT mlops_promote('line', 1);
});

my $score = q{SELECT string_agg(mlops_predict('line', p)::text, ',' ORDER BY x) FROM point p};
my $before = $node->safe_psql('postgres', $score);

# a training that is reading its rows, and will be for minutes
sub start_slow_training
{
	my $training = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c',
			q{CALL mlops_train('line', 'SELECT p.* FROM point p, (SELECT pg_sleep(300) IS NOT NULL AS slept OFFSET 0) s WHERE s.slept', target => 'y', algorithm => 'linear_regression')} ],
		'<', \undef, '>', \my $out, '2>', \my $err);

	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM mlops.run WHERE status = 'running'})
	  or die 'the training did not start';
	return ($training, $node->safe_psql('postgres', q{SELECT pid FROM mlops.training_progress}));
}

sub statuses
{
	return $node->safe_psql('postgres', q{SELECT string_agg(status, ' ' ORDER BY started_at) FROM mlops.run});
}

# the whole server is killed
my ($training, $pid) = start_slow_training();

is(statuses(), 'finished running', 'a training is under way');
$node->stop('immediate');
$training->finish;
$node->start;
is(statuses(), 'finished lost', 'after a crash of the server the run is shown as lost');
is($node->safe_psql('postgres', $score), $before, 'what served serves on');

# its backend is killed, and the server recovers by itself
($training, $pid) = start_slow_training();
kill 'KILL', $pid;
$training->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not recover';
is(statuses(), 'finished lost lost', 'after kill -9 of its backend the run is shown as lost');

# its connection is ended by an administrator
($training, $pid) = start_slow_training();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$training->finish;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM mlops.run WHERE status = 'running'})
  or die 'a terminated training is still running';
unlike(statuses(), qr/running/, 'a terminated training is not running');

# the next training takes the next number and leaves no run behind
$node->safe_psql('postgres', q{CALL mlops_train('line', 'point', target => 'y', algorithm => 'linear_regression')});
is($node->safe_psql('postgres', q{SELECT string_agg(version::text, ' ' ORDER BY version) FROM mlops.version}),
	'1 2', 'the next training takes the next number');
is($node->safe_psql('postgres', q{SELECT count(*) FROM mlops_catalog.run WHERE status = 'running'}), '0',
	'and writes down that the others are lost');

# a tick that trains again, and its backend is killed: the retraining is lost with its run, and in nobody's way
my $policy = q{SELECT mlops_set_retraining('line', changes => '{"source": "%s"}'); SELECT mlops_request_retraining('line', '%s')};
my $slow = 'SELECT p.* FROM point p, (SELECT pg_sleep(300) IS NOT NULL AS slept OFFSET 0) s WHERE s.slept';

$node->safe_psql('postgres', sprintf($policy, $slow, 'to be killed'));
my $tick = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', 'CALL mlops_tick()' ],
	'<', \undef, '>', \my $out, '2>', \my $err);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM mlops.run WHERE status = 'running'})
  or die 'the tick did not train';
is($node->safe_psql('postgres', 'SELECT number, status FROM mlops.retraining'), '1|running', 'a tick trains');
kill 'KILL', $node->safe_psql('postgres', 'SELECT pid FROM mlops.training_progress');
$tick->finish;
$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not recover';
is($node->safe_psql('postgres', 'SELECT number, status FROM mlops.retraining'), '1|lost', 'after kill -9 of its backend the retraining is lost');
$node->safe_psql('postgres', 'CALL mlops_tick()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mlops.retraining'), '1', 'and not tried again by itself');
$node->safe_psql('postgres', sprintf($policy, 'point', 'once more') . '; CALL mlops_tick()');
is($node->safe_psql('postgres', q{SELECT string_agg(format('%s %s %s', number, status, version), ', ' ORDER BY number) FROM mlops_catalog.retraining}),
	'1 lost , 2 trained 3', 'the next one is trained');

$node->stop;
done_testing();
