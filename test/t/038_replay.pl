# elec2 replayed in time order, week by week, as it would have been watched: half
# an hour after a prediction its outcome is known, and once a week a tick looks at
# both. The model of the first months gets worse; the tick finds the drop, trains
# again on the three months before, and the new version serves if the gate does
# not find it worse. The replay ends with what that was worth: the area under the
# ROC curve of what served against that of the first model, had it gone on.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use RealData;
use Test::More;

my $folder = data_folder();
my $node = data_server($folder, 'replay', 1);

sub query
{
	return $node->safe_psql('postgres', "SET timezone = 'UTC'; SET client_min_messages = error; $_[0]");
}

# 48 rows a day; their dates are normalised, their order is time
query(q{
	CREATE VIEW power AS
	SELECT timestamptz '1996-05-07' + (row_id - 1) * interval '30 minutes' AS at, row_id, day, period, nswprice, nswdemand,
	       vicprice, vicdemand, transfer, class_up = 1 AS up FROM ds.elec2;
	SELECT mlops_create_model('power', target => 'up', metric => 'roc_auc');
	-- a hold-out by time: what the gates judge by is younger than what the model has seen
	SELECT mlops_train_now('power', 'SELECT * FROM power WHERE at < ''1996-11-01''', 'up', features => '{day, period, nswprice,
		nswdemand, vicprice, vicdemand, transfer}', time_column => 'at', params => '{"l2": 1}', holdout => 0.08);
	SELECT mlops_promote('power', 1);
	SELECT mlops_create_validation_set('power', 'week', 'power', target => 'up', key => 'row_id', time_column => 'at', period => '7 days');
	SELECT mlops_set_gate('power', 'not worse', metric => 'roc_auc', max_drop => 0.01, proof => 'worse');
	SELECT mlops_set_retraining('power', every => '28 days', drop => 0.05, changes => '{"source": "power"}', period => '3 months',
		pause => '7 days', live_period => '14 days', promote => true, as_of => '1996-11-01');
	-- the log of a replay is older than its model
	UPDATE mlops_catalog.model SET created_at = '1996-01-01' WHERE name = 'power';
});

# A week of calls, logged at their times, what came true of them, and a tick. Statistics are kept, as autovacuum would.
query(q{
	CREATE PROCEDURE play(week timestamptz) LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO mlops_catalog.prediction (at, model, version, role, deployment, key, prediction, label)
		SELECT w.at, 'power', s.version, 'active', s.deployment, w.row_id, w.p, (w.p >= s.threshold)::text
		  FROM (SELECT power.*, mlops_predict('power', power) AS p FROM power
				 WHERE at >= week - interval '7 days' AND at < week) AS w, mlops.serving AS s WHERE s.model = 'power';
		PERFORM count(mlops_record_outcome('power', row_id, up::text, at + interval '30 minutes')) FROM power
		 WHERE at >= week - interval '7 days' AND at < week;
		ANALYZE mlops_catalog.prediction_default, mlops_catalog.outcome;
		COMMIT;
		CALL mlops_tick(week);
	END$$});

my @weeks = split /\n/, query("SELECT w FROM generate_series(timestamptz '1996-11-08', '1998-11-27', '7 days') AS w");
query(join '', map { "CALL play('$_');" } @weeks);
cmp_ok(scalar @weeks, '>', 100, scalar(@weeks) . ' weeks');

# ---- the drop is found, and answered ----

my $policy = query(q{SELECT string_agg(format('%s %s: %s, %s', number, as_of::date, why, status), E'\n' ORDER BY number) FROM mlops.retraining});
note($policy);
my $first = query("SELECT as_of::date FROM mlops.retraining WHERE why LIKE 'roc_auc went from %' ORDER BY number LIMIT 1");
isnt($first, '', "the drop in live AUC is found, first on $first");
is(query("SELECT count(*) FROM mlops.retraining WHERE status NOT IN ('promoted', 'refused')"), '0', 'every training came to its end');
cmp_ok(query("SELECT count(*) FROM mlops.retraining WHERE status = 'promoted'"), '>=', 10, 'versions that passed the gate served');
is( query(q{SELECT count(*) FROM mlops.version AS v JOIN mlops.retraining AS r ON r.model = v.model AND r.version = v.version
			 WHERE v.time_to::timestamptz >= r.as_of OR v.time_from::timestamptz < r.as_of - interval '3 months'
			    OR v.time_from::timestamptz > r.as_of - interval '3 months' + interval '1 day'}),
	'0', 'each from the three months before');
is(query("SELECT count(*) FROM mlops.deployment WHERE number > 1 AND evidence -> 'gates' IS NULL"), '0', 'none without its gate');
my $again = query(q{SELECT version FROM mlops.retraining WHERE status = 'promoted' ORDER BY number DESC LIMIT 1});
like(query("CALL mlops_reproduce('power/$again')"), qr/^t\|/, "version $again can be made again from its window");

# by hand the window stands still, and that is said
my ($code, $out, $err) = $node->psql('postgres', "CALL mlops_retrain('power/$again', '{\"options\": {\"scratch\": true}}')");
like($err, qr/training on the rows from 1998-\S+ \S+ until 1998-\S+ \S+, as version $again was/, 'mlops_retrain says which rows it keeps to');
($code, $out, $err) = $node->psql('postgres', "CALL mlops_retrain('power/$again', '{\"options\": {\"scratch\": true}, \"since\": null, \"until\": null}')");
unlike($err, qr/training on the rows from/, 'unless all of them are asked for');
is(query("SELECT rows_read FROM mlops.version ORDER BY version DESC LIMIT 1"), '45312', 'which are read then');

# ---- drift is found, and told from what does not matter ----

# in the first month the price moves away, by which the model goes most of all; in May 1997 the market of Victoria joins, whose columns
# were constant until then, so that no model of before looks at them
sub shifted
{
	my ($from, $until) = @_;

	return query("SELECT coalesce(string_agg(feature || CASE WHEN matters THEN '!' ELSE '' END, ' ' ORDER BY feature), '') "
		  . "FROM mlops_drift('power/1', \$q\$SELECT * FROM power WHERE at >= '$from' AND at < '$until'\$q\$) "
		  . "WHERE role = 'feature' AND verdict = 'shifted'");
}

is(shifted('1996-11-01', '1996-12-01'), 'nswdemand nswprice!', 'in the first month');
is(shifted('1997-05-08', '1997-06-07'), 'nswprice! transfer vicdemand vicprice', 'in the month after the second market joined');
is(query("SELECT matters FROM mlops_drift('power/1', period => '28 days', as_of => '1996-11-29') WHERE role = 'prediction'"),
	't', 'and the predictions in the log say so');

# ---- what it was worth ----

my ($live, $still, $n) = split /\|/, query(q{
	SELECT mlops_roc_auc(l.prediction, o.outcome::boolean), mlops_roc_auc(l.still, o.outcome::boolean), count(*)
	  FROM (SELECT p.key, p.prediction, mlops_predict('power/1', power) AS still
			  FROM mlops.prediction AS p JOIN power ON row_id = p.key::int) AS l JOIN mlops.outcome AS o USING (key)});
note("live AUC $live, of the first model $still, on $n rows");
is($n, scalar(@weeks) * 7 * 48, 'every call has its outcome');
cmp_ok($live, '>=', $still + 0.04, sprintf('live AUC %.3f, at least 0.04 above the never-retrained %.3f', $live, $still));

# ---- looking back ----

is( query(q{SELECT count(*) FROM mlops_performance_by_deployment('power', period => '3 years', as_of => '1999-01-01') AS d
			  JOIN mlops.deployment AS h ON h.number = d.deployment AND h.version = d.version WHERE d.metric = 'roc_auc' AND d.n > 0}),
	query('SELECT count(DISTINCT deployment) FROM mlops.prediction'), 'live quality under what served then');
my $key = query("SELECT key FROM mlops.prediction WHERE deployment > 3 ORDER BY at LIMIT 1");
is( query("SELECT t.data_fingerprint = encode(v.data_fingerprint, 'hex') AND t.run = v.run AND t.outcome IS NOT NULL
			 FROM mlops_trace('power', '$key') AS t JOIN mlops.version AS v ON v.version = t.version"),
	't', 'from a logged prediction back to its training rows');

# the first model on all later editions: quality falls with age
query(q{SELECT count(*) FROM mlops.edition AS e, mlops_evaluate('power/1', 'week', e.edition, metrics => '{roc_auc}')});
my $age = query(q{SELECT EXTRACT(day FROM min(age_from)) FROM mlops_quality_by_age('power', every => '28 days', period => '3 years', as_of => '1999-01-01')
				   WHERE version = 1 AND validation_set = 'week' AND fall_low > 0});
isnt($age, '', "the first model is worse than it was beyond doubt after $age days");

done_testing();
