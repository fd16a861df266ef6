/*
 * retraining_due.c
 *		Is there a reason to train a model again?
 *
 * A policy counts from the last training that was asked for since it was set, whatever
 * became of it, or from that of the active version where it came later: a training that
 * fails or whose version the gates refuse is not tried again at every tick. The
 * clock of the policy is as_of; what the server's clock stamped later than that
 * (in a replay of the past) is left aside.
 */
#include "postgres.h"

#include <math.h>

#include "judge/judge.h"
#include "recipe/recipe.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "watch/live.h"

typedef struct Situation
{
	int			version;		/* active; 0: none */
	TimestampTz since;			/* that the policy counts from */
	bool		asked;			/* a training was asked for before */
	TimestampTz last;			/* then: the newest */
} Situation;

static TimestampTz
later(TimestampTz at, Interval *interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(at),
												   IntervalPGetDatum(interval)));
}

static TimestampTz
earlier(TimestampTz at, Interval *interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(at),
												   IntervalPGetDatum(interval)));
}

static void
look(const MlRetrainPolicy *policy, TimestampTz as_of, Situation *now)
{
	static MlStatement select = {
		"SELECT s.version, (SELECT pg_catalog.max(r.as_of) FROM mlops_catalog.retraining AS r "
		"JOIN mlops_catalog.retraining_policy AS p ON p.model OPERATOR(pg_catalog.=) r.model "
		"WHERE r.model OPERATOR(pg_catalog.=) $1 AND r.requested_at OPERATOR(pg_catalog.>=) p.set_at), "
		"CASE WHEN v.trained_at OPERATOR(pg_catalog.<=) $2 THEN v.trained_at END "
		"FROM mlops_catalog.serving AS s JOIN mlops_catalog.version AS v ON v.model OPERATOR(pg_catalog.=) s.model "
		"AND v.version OPERATOR(pg_catalog.=) s.version WHERE s.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	TimestampTz trained;
	bool		no_training;
	bool		never;

	memset(now, 0, sizeof(*now));
	ml_bind_text(&args, policy->model);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		now->version = ml_result_int(0, 1, 0);
		now->last = DatumGetTimestampTz(ml_result_datum(0, 2, &never));
		now->asked = !never;
		trained = DatumGetTimestampTz(ml_result_datum(0, 3, &no_training));
		now->since = now->asked ? now->last : no_training ? policy->as_of : trained;
		if (!no_training)
			now->since = Max(now->since, trained);
	}
	ml_registry_leave(&scope);
}

/* ---- new labels ---- */

static int64
count_labels(const MlRetrainPolicy *policy, TimestampTz since, TimestampTz as_of)
{
	static MlStatement select = {
		"SELECT pg_catalog.count(DISTINCT o.key) FROM mlops_catalog.outcome AS o WHERE o.model OPERATOR(pg_catalog.=) $1 "
		"AND o.at OPERATOR(pg_catalog.>) $2 AND o.at OPERATOR(pg_catalog.<=) $3"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int64		n;

	ml_bind_text(&args, policy->model);
	ml_bind_time(&args, since);
	ml_bind_time(&args, as_of);
	ml_registry_enter(&scope);
	ml_statement_run(&select, &args);
	n = ml_result_int8(0, 1);
	ml_registry_leave(&scope);
	return n;
}

/* ---- a measured drop ---- */

/* what the version was measured at when it was trained: on its hold-out, else where it was evaluated first */
static double
promised(const char *model, int version, const char *metric)
{
	static MlStatement select = {
		"SELECT COALESCE(CASE WHEN pg_catalog.jsonb_typeof(v.holdout_metrics OPERATOR(pg_catalog.->) $3) OPERATOR(pg_catalog.=) 'number' "
		"THEN (v.holdout_metrics OPERATOR(pg_catalog.->>) $3)::pg_catalog.float8 END, "
		"(SELECT e.value FROM mlops_catalog.evaluation AS e JOIN mlops_catalog.edition AS d ON d.model OPERATOR(pg_catalog.=) e.model "
		"AND d.validation_set OPERATOR(pg_catalog.=) e.validation_set AND d.edition OPERATOR(pg_catalog.=) e.edition "
		"WHERE e.model OPERATOR(pg_catalog.=) $1 AND e.version OPERATOR(pg_catalog.=) $2 AND e.metric OPERATOR(pg_catalog.=) $3 "
		"AND e.slice OPERATOR(pg_catalog.=) '' ORDER BY d.as_of, e.validation_set LIMIT 1)) "
		"FROM mlops_catalog.version AS v WHERE v.model OPERATOR(pg_catalog.=) $1 AND v.version OPERATOR(pg_catalog.=) $2"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	double		value = NAN;

	ml_bind_text(&args, model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, metric);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
		value = ml_result_float(0, 1);
	ml_registry_leave(&scope);
	return value;
}

/* where too few outcomes are known: what it was last measured at on a validation set */
static void
last_evaluated(const MlRetrainPolicy *policy, int version, const char *metric, TimestampTz as_of, MlLiveEstimate *estimate)
{
	static MlStatement select = {
		"SELECT e.value, e.low, e.high, e.n FROM mlops_catalog.evaluation AS e JOIN mlops_catalog.edition AS d ON d.model OPERATOR(pg_catalog.=) e.model "
		"AND d.validation_set OPERATOR(pg_catalog.=) e.validation_set AND d.edition OPERATOR(pg_catalog.=) e.edition "
		"WHERE e.model OPERATOR(pg_catalog.=) $1 AND e.version OPERATOR(pg_catalog.=) $2 AND e.metric OPERATOR(pg_catalog.=) $3 "
		"AND e.slice OPERATOR(pg_catalog.=) '' AND d.as_of OPERATOR(pg_catalog.<=) $4 AND e.n OPERATOR(pg_catalog.>=) $5 "
		"ORDER BY d.as_of DESC, e.validation_set, e.edition DESC LIMIT 1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;

	*estimate = (MlLiveEstimate) {NAN, NAN, NAN, NAN, 0, 0};
	ml_bind_text(&args, policy->model);
	ml_bind_int(&args, version);
	ml_bind_text(&args, metric);
	ml_bind_time(&args, as_of);
	ml_bind_int8(&args, policy->min_rows);
	ml_registry_enter(&scope);
	if (ml_statement_run(&select, &args) > 0)
	{
		estimate->value = ml_result_float(0, 1);
		estimate->low = ml_result_float(0, 2);
		estimate->high = ml_result_float(0, 3);
		estimate->n = ml_result_int8(0, 4);
	}
	ml_registry_leave(&scope);
}

/* from what there is: live where enough came true, else on a validation set; which of them, in words */
static const char *
measure_now(const MlRetrainPolicy *policy, int version, MlTask task, const char *metric, TimestampTz as_of, MlLiveEstimate *now)
{
	TimestampTz until = earlier(as_of, policy->label_delay);

	if ((task & ML_TASKS_UNSUPERVISED) == 0)
	{
		ml_live_value(policy->model, version, earlier(until, policy->live_period), until, as_of, now);
		if (!isnan(now->value) && now->n >= policy->min_rows)
			return "live";
	}
	last_evaluated(policy, version, metric, as_of, now);
	return "validation";
}

/* large enough, and beyond the noise of the rows that it was measured on */
static char *
drop_in_words(const MlRetrainPolicy *policy, int version, TimestampTz as_of)
{
	MlModelRow *row = ml_registry_model_row(policy->model);
	MlTask		task = row != NULL ? ml_outcome_task(row->task) : 0;
	MlLiveEstimate now;
	MlJudgeMetric *metric;
	const char *name;
	const char *where;
	double		then;
	bool		higher;

	if (task == 0)
		return NULL;
	metric = ml_judge_metric(policy->model, task, NULL);
	name = ml_judge_metric_name(metric);
	higher = ml_judge_metric_higher_is_better(metric);
	then = promised(policy->model, version, name);
	where = measure_now(policy, version, task, name, as_of, &now);
	if (!((higher ? then - now.value : now.value - then) >= policy->drop) || (higher ? now.high >= then : now.low <= then))
		return NULL;
	return psprintf("%s went from %.4g to %.4g on " INT64_FORMAT " %s rows", name, then, now.value, now.n, where);
}

static char *
in_words(Interval *interval)
{
	int			level = NewGUCNestLevel();
	char	   *text;

	ml_author_set("IntervalStyle", "postgres");
	text = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
	AtEOXact_GUC(false, level);
	return text;
}

char *
ml_retrain_reason(const MlRetrainPolicy *policy, TimestampTz as_of)
{
	Situation	now;
	int64		n;

	look(policy, as_of, &now);
	if (now.version == 0 || (now.asked && (as_of <= now.last || as_of < later(now.last, policy->pause))))
		return NULL;
	if (policy->every != NULL && later(now.since, policy->every) <= as_of)
		return psprintf("every %s", in_words(policy->every));
	if (policy->new_labels > 0)
	{
		n = count_labels(policy, now.since, as_of);
		if (n >= policy->new_labels)
			return psprintf(INT64_FORMAT " new labels", n);
	}
	return isnan(policy->drop) ? NULL : drop_in_words(policy, now.version, as_of);
}
