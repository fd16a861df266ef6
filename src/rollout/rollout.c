/*
 * rollout.c
 *		mlops_create_rollout, mlops_stop_rollout, and what the tick does with
 *		rollouts.
 *
 * A rollout is promotions by the clock: each step promotes its version for a share of
 * the rows, as the author, who must still hold the privilege, so that whatever
 * promotions are asked is asked of these. What is measured is measured without
 * a lock; under the lock on what serves it is then looked whether the newest deployment
 * is still the rollout's own. If it is not, somebody else has decided, and the
 * rollout ends.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "catalog/pg_type.h"
#include "deploy/ask.h"
#include "fmgr.h"
#include "json.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/author.h"
#include "registry/registry_catalog.h"
#include "rollout/rollout.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "watch/canary_report.h"

PG_FUNCTION_INFO_V1(mlops_create_rollout);
PG_FUNCTION_INFO_V1(mlops_stop_rollout);

/* what a step was found to be */
typedef struct Finding
{
	char	   *failed;			/* why the canary must go; or NULL */
	char	   *waits_for;		/* what is not met yet; or NULL */
	Jsonb	   *seen;			/* NULL: nothing */
} Finding;

/* ---- promotions and rollbacks ---- */

typedef struct Call
{
	const char *query;
	int			nargs;
	Oid		   *type;
	Datum	   *value;
	const char *null;
	int			deployment;
} Call;

static void
run(void *arg)
{
	Call	   *call = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(call->query, call->nargs, call->type, call->value, call->null, false, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "a rollout could not act");
	call->deployment = ml_result_int(0, 1, 0);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
}

/* calls what anybody would call, as the current user; one row: the deployment */
static int
call(const char *query, int nargs, Oid *type, Datum *value, const char *null)
{
	Call		made = {query, nargs, type, value, null};

	ml_call_plainly(run, &made, NULL);
	return made.deployment;
}

/* rules below 0, and a threshold of NaN, are not given */
static int
promote(const MlRollout *rollout, const MlRolloutStep *step, int rules, double threshold)
{
	Oid			type[6] = {TEXTOID, INT4OID, FLOAT8OID, INT4OID, FLOAT8OID, TEXTOID};
	Datum		value[6] = {
		CStringGetTextDatum(rollout->model), Int32GetDatum(rollout->version), Float8GetDatum(step->share),
		Int32GetDatum(rules), Float8GetDatum(threshold), CStringGetTextDatum(psprintf("rollout: %s", step->name))
	};
	char		null[6] = {' ', ' ', ' ', rules < 0 ? 'n' : ' ', isnan(threshold) ? 'n' : ' ', ' '};

	return call("SELECT d.deployment FROM pg_catalog.mlops_promote($1, $2, $3, rules => $4, threshold => $5, reason => $6) AS d",
				lengthof(type), type, value, null);
}

static int
roll_back(const MlRollout *rollout, const char *reason)
{
	Oid			type[2] = {TEXTOID, TEXTOID};
	Datum		value[2] = {CStringGetTextDatum(rollout->model), CStringGetTextDatum(reason)};

	return call("SELECT d.deployment FROM pg_catalog.mlops_rollback($1, reason => $2) AS d",
				lengthof(type), type, value, NULL);
}

/* to the next step (reason NULL), or back; as the author */
static int
act(const MlRollout *rollout, const char *reason)
{
	MlAuthored	what = {
		.what = psprintf("rollout %d", rollout->number),
		.model = rollout->model,
		.privilege = ML_PRIVILEGE_PROMOTE,
		.hint = "Stop it with mlops_stop_rollout()."
	};
	int			deployment;
	Oid			user;
	int			security;
	int			level;

	GetUserIdAndSecContext(&user, &security);
	level = NewGUCNestLevel();
	ml_author_set("search_path", "pg_catalog, pg_temp");
	ml_author_set("client_min_messages", "error");
	ml_author_become(rollout->author, &what);
	deployment = reason == NULL ? promote(rollout, &rollout->steps[rollout->step], -1, NAN) : roll_back(rollout, reason);
	SetUserIdAndSecContext(user, security);
	AtEOXact_GUC(false, level);
	return deployment;
}

/* ---- what is seen ---- */

static void
put_side(MlJson *json, const char *name, int version, const MlCanarySide *side)
{
	ml_json_key(json, name);
	ml_json_begin_object(json);
	ml_json_put_int(json, "version", version);
	ml_json_put_int(json, "keys", side->keys);
	ml_json_put_int(json, "predictions", side->predictions);
	ml_json_put_int(json, "outcomes", side->labelled);
	ml_json_end_object(json);
}

static Jsonb *
as_json(const MlCanaryReport *report)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	put_side(&json, "active", report->stage.active, &report->active);
	put_side(&json, "canary", report->stage.version, &report->canary);
	ml_json_put_float(&json, "split_p_value", report->split.p_value);
	if (report->metrics != NIL)
	{
		const MlCanaryMetric *metric = linitial(report->metrics);

		ml_json_put_text(&json, "metric", metric->name);
		ml_json_put_float(&json, "active_value", metric->active.value);
		ml_json_put_float(&json, "canary_value", metric->canary.value);
		ml_json_put_float(&json, "low", metric->difference.low);
		ml_json_put_float(&json, "high", metric->difference.high);
		ml_json_put_float(&json, "p_value", metric->difference.p_value);
		ml_json_put_text(&json, "verdict", ml_canary_verdict_name(metric->verdict));
	}
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

/* ---- what a step asks for ---- */

static MlCanaryVerdict
verdict_of(const MlCanaryReport *report)
{
	return report->metrics == NIL ? ML_CANARY_UNDECIDED : ((MlCanaryMetric *) linitial(report->metrics))->verdict;
}

static char *
say_split(const MlCanaryReport *report)
{
	return psprintf("the split is broken: the canary got " INT64_FORMAT " of " INT64_FORMAT " keys, and its share is %g",
					report->canary.keys, report->canary.keys + report->active.keys, report->stage.share);
}

static char *
say_worse(const MlCanaryReport *report)
{
	const MlCanaryMetric *metric = linitial(report->metrics);

	return psprintf("the canary is worse: %s is %.4g against %.4g, a difference between %.4g and %.4g", metric->name,
					metric->canary.value, metric->active.value, metric->difference.low, metric->difference.high);
}

/* what stops it at once */
static char *
find_failure(const MlRolloutStep *step, const MlCanaryReport *report)
{
	if (report->broken)
		return say_split(report);
	if (step->compare != ML_COMPARE_OFF && verdict_of(report) == ML_CANARY_WORSE)
		return say_worse(report);
	return NULL;
}

static char *
find_wait(const MlRollout *rollout, const MlRolloutStep *step, const MlCanaryReport *report, TimestampTz as_of)
{
	TimestampTz ripe = rollout->entered_at + (step->min_time == NULL ? 0 : ml_watch_interval(step->min_time));

	if (as_of < ripe)
		return psprintf("time: until %s", timestamptz_to_str(ripe));
	if (report->canary.predictions < step->min_rows)
		return psprintf("rows: " INT64_FORMAT " of " INT64_FORMAT, report->canary.predictions, step->min_rows);
	if (report->canary.labelled < step->min_outcomes)
		return psprintf("outcomes: " INT64_FORMAT " of " INT64_FORMAT, report->canary.labelled, step->min_outcomes);
	if (step->compare == ML_COMPARE_BETTER && verdict_of(report) != ML_CANARY_BETTER)
		return pstrdup("the canary to be shown to be better");
	return NULL;
}

static void
hear_gates(const MlRolloutStep *step, const MlCanaryStage *stage, const char *model, Finding *finding)
{
	char	   *why;

	if (step->ngates == 0)
		return;
	switch (ml_gates_ask(model, stage->version, stage->threshold, stage->rules, step->gate, step->ngates, &why))
	{
		case ML_GATES_FAIL:
			finding->failed = why;
			break;
		case ML_GATES_CANNOT_TELL:
			finding->waits_for = why;
			break;
		case ML_GATES_PASS:
			break;
	}
}

/* the error of all looks at all steps together is that of one canary */
static double
alpha_of(const MlRollout *rollout)
{
	int			compared = 0;

	for (int i = 0; i < rollout->nsteps - 1; i++)
		compared += rollout->steps[i].compare != ML_COMPARE_OFF;
	return ML_CANARY_ALPHA / Max(compared, 1);
}

static void
examine(const MlRollout *rollout, const MlCanaryStage *stage, TimestampTz as_of, Finding *finding)
{
	const MlRolloutStep *step = &rollout->steps[rollout->step - 1];
	const char *model = rollout->model;
	MlCanaryReport report;
	List	   *metrics = NIL;

	if (step->compare != ML_COMPARE_OFF || step->min_outcomes > 0)
		metrics = list_make1(ml_judge_metric(model, ml_live_task(model), NULL));
	ml_canary_look(model, stage, as_of, metrics, alpha_of(rollout), &report);
	finding->seen = as_json(&report);
	finding->failed = find_failure(step, &report);
	if (finding->failed == NULL)
		finding->waits_for = find_wait(rollout, step, &report, as_of);
	if (finding->failed == NULL && finding->waits_for == NULL)
		hear_gates(step, stage, model, finding);
}

/* ---- the tick ---- */

static void
tell_end(const MlRollout *rollout, const char *state, const char *why)
{
	ereport(WARNING,
			(errmsg("rollout %d of version %d of model \"%s\" is %s", rollout->number, rollout->version, rollout->model, state),
			 errdetail_internal("%s", why)));
}

/* NULL: the canary that serves is its own, and its author may go on */
static char *
why_over(const MlRollout *rollout, MlCanaryStage *stage)
{
	Oid			author = get_role_oid(rollout->author, true);
	int			number;
	char	   *newest = ml_registry_newest_deployment(rollout->model, &number);

	if (number != rollout->deployment || !ml_canary_stage(rollout->model, DT_NOEND, stage))
		return psprintf("somebody else has decided what serves; %s", newest ? newest : "nothing was deployed");

	/* the step's time is that of ticks, which may replay another than the clock's */
	stage->since = Max(stage->since, rollout->entered_at);
	if (!OidIsValid(author))
		return psprintf("role \"%s\", whose rollout it was, does not exist any more", rollout->author);
	if (!ml_privilege_has(rollout->model, author, ML_PRIVILEGE_PROMOTE))
		return psprintf("role \"%s\", whose rollout it was, may not promote any more", rollout->author);
	return NULL;
}

static const char *
whom(double share)
{
	return share == 1 ? "all rows" : psprintf("%g of the rows", share);
}

static void
settle(const MlRollout *rollout, const Finding *finding, TimestampTz as_of)
{
	if (finding->failed == NULL && finding->waits_for != NULL)
	{
		ml_registry_rollout_waits(rollout, finding->waits_for, finding->seen, as_of);
		return;
	}
	/* the next tick sees why not */
	if (!ml_registry_lock_rollout(rollout))
		return;
	if (finding->failed != NULL)
	{
		(void) act(rollout, psprintf("rollout %d: %s", rollout->number, finding->failed));
		ml_registry_end_rollout(rollout, "rolled back", finding->failed, finding->seen, as_of);
		tell_end(rollout, "rolled back", finding->failed);
		return;
	}
	ml_registry_rollout_moves(rollout, act(rollout, NULL), finding->seen, as_of);
	ereport(NOTICE,
			(errmsg("rollout %d of model \"%s\" serves version %d to %s", rollout->number, rollout->model,
					rollout->version, whom(rollout->steps[rollout->step].share))));
}

void
ml_rollout_advance(const char *model, TimestampTz as_of)
{
	MlRollout  *rollout = ml_registry_rollout(model);
	MlCanaryStage stage;
	Finding		finding = {0};
	char	   *over;

	if (rollout == NULL)
		return;
	if (as_of < rollout->looked_at)
	{
		ereport(NOTICE,
				(errmsg("rollout %d of model \"%s\" was not looked at", rollout->number, model),
				 errdetail("It was last looked at as of %s, which is later.", timestamptz_to_str(rollout->looked_at))));
		return;
	}
	over = why_over(rollout, &stage);
	if (over != NULL)
	{
		if (ml_registry_end_rollout(rollout, "stopped", over, NULL, as_of))
			tell_end(rollout, "stopped", over);
		return;
	}
	examine(rollout, &stage, as_of, &finding);
	settle(rollout, &finding, as_of);
}

/* ---- the functions ---- */

static TimestampTz
take_time(FunctionCallInfo fcinfo, int n, const char *function)
{
	TimestampTz as_of;

	ml_require_argument(fcinfo, n, "as_of");
	as_of = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"as_of\" of %s is infinite", function),
				 errdetail("Steps take their time from it."),
				 errhint("Leave it out for now.")));
	return as_of;
}

/* mlops_create_rollout(model, version, stages, rules, threshold, reason, as_of) */
Datum
mlops_create_rollout(PG_FUNCTION_ARGS)
{
	MlRollout	rollout = {0};
	TimestampTz as_of;
	int			number;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "version");
	ml_require_argument(fcinfo, 2, "stages");
	rollout.model = ml_argument_text(fcinfo, 0);
	rollout.version = PG_GETARG_INT32(1);
	as_of = take_time(fcinfo, 6, "mlops_create_rollout");
	ml_registry_require_writable("roll out a version");
	ml_privilege_require(rollout.model, ML_PRIVILEGE_PROMOTE);
	rollout.steps = ml_rollout_steps(rollout.model, PG_GETARG_JSONB_P(2), &rollout.nsteps);
	rollout.author = GetUserNameFromId(GetUserId(), false);
	rollout.step = 1;
	rollout.deployment = promote(&rollout, &rollout.steps[0], ml_promotion_take_rules(fcinfo, 3),
								 ml_promotion_take_threshold(fcinfo, 4));
	number = ml_registry_add_rollout(&rollout, ml_argument_text(fcinfo, 5), as_of);
	PG_RETURN_INT32(number);
}

/* mlops_stop_rollout(model, reason, as_of) */
Datum
mlops_stop_rollout(PG_FUNCTION_ARGS)
{
	char	   *model;
	MlRollout  *rollout;
	TimestampTz as_of;

	ml_require_argument(fcinfo, 0, "model");
	model = ml_argument_text(fcinfo, 0);
	as_of = take_time(fcinfo, 2, "mlops_stop_rollout");
	ml_registry_require_writable("stop a rollout");
	ml_privilege_require(model, ML_PRIVILEGE_PROMOTE);
	/* so that it is in the step that it is read in */
	ml_registry_lock_serving(model);
	rollout = ml_registry_rollout(model);
	if (rollout == NULL || !ml_registry_end_rollout(rollout, "stopped", ml_argument_text(fcinfo, 1), NULL, as_of))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no rollout of model \"%s\" runs", model),
				 errdetail("Nothing was changed."),
				 errhint("SELECT * FROM mlops.rollout WHERE model = %s shows those that there were.", quote_literal_cstr(model))));
	ereport(NOTICE,
			(errmsg("version %d of model \"%s\" goes on to serve %g of the rows", rollout->version, model,
					rollout->steps[rollout->step - 1].share),
			 errhint("mlops_rollback(%s) ends the canary, mlops_promote(%s, %d) completes it.", quote_literal_cstr(model),
					 quote_literal_cstr(model), rollout->version)));
	PG_RETURN_VOID();
}
