/*
 * retraining_run.c
 *		A tick trains a model again: from the request to what serves.
 *
 * Each step has transactions of its own: asked for, taken, trained (which holds
 * nothing while it fits), judged on the model's validation sets, promoted
 * through its gates. What happened is recorded after each, so that nothing is
 * lost but the request if the server stops, and that says so. The training is the
 * policy author's, who must still hold the privileges; its version is his, and a
 * promotion as well.
 */
#include "postgres.h"

#include "attempt.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "errors.h"
#include "executor/spi.h"
#include "json.h"
#include "judge/judge.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "retrain/retraining.h"
#include "train/procedure.h"
#include "train/retrain.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "validate/validate.h"

#define POLICY "the retraining policy"
#define SET_AGAIN "Set it again with mlops_set_retraining()."

typedef struct Retraining
{
	MlTraining *procedure;		/* of the tick */
	const char *model;
	TimestampTz as_of;
	MlRetrainPolicy *policy;
	MlRetrainRequest request;
	bool		taken;
	MlTraining *training;
	int			version;
	int			deployment;
	void		(*step) (void *work);
} Retraining;

/* ---- what is trained ---- */

/* {"settings": those that the policy was written under}, for a source of its own */
static Jsonb *
with_settings(const MlRetrainPolicy *policy)
{
	MlJson		json = {0};
	JsonbValue	value;

	if (!ml_json_find(policy->changes, "source", &value) || ml_json_find(policy->changes, "settings", &value))
		return policy->changes;
	ml_json_begin_object(&json);
	ml_json_key(&json, "settings");
	ml_json_jsonb(&json, ml_author_settings_json(&policy->author));
	ml_json_end_object(&json);
	return ml_json_merge(policy->changes, ml_json_finish(&json));
}

/* the same moment whatever the settings that it is read under */
static char *
moment(TimestampTz at)
{
	int			level = NewGUCNestLevel();
	char	   *text;

	ml_author_set("TimeZone", "UTC");
	ml_author_set("DateStyle", "ISO, YMD");
	text = DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(at)));
	AtEOXact_GUC(false, level);
	return text;
}

static TimestampTz
before(TimestampTz at, Interval *interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(at),
												   IntervalPGetDatum(interval)));
}

/* the moment, or in the unit of a column of integers the first number that is not before it */
static char *
bound_at(const MlRetrainPolicy *policy, TimestampTz at)
{
	int64		count;

	if (policy->time_unit == NULL)
		return moment(at);
	if (!ml_clock_count(at, policy->time_origin, policy->time_unit, &count))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the window of a retraining policy is too far from its \"time_origin\""),
				 errdetail("It would begin or end at %s, and the time column counts from %s.", moment(at), moment(policy->time_origin)),
				 errhint("Give the time_origin that the column counts from, or leave it out for 1970-01-01.")));
	return psprintf(INT64_FORMAT, count);
}

/* months and days are those of the author's time zone */
static void
set_window(const MlRetrainPolicy *policy, TimestampTz as_of, MlSpec *spec)
{
	int			level = NewGUCNestLevel();
	TimestampTz until;

	if (policy->author.settings[1] != NULL)
		ml_author_set("TimeZone", policy->author.settings[1]);
	until = before(as_of, policy->label_delay);
	spec->until = bound_at(policy, until);
	if (policy->period != NULL)
		spec->since = bound_at(policy, before(until, policy->period));
	spec->bounds_are_numbers = policy->time_unit != NULL;
	AtEOXact_GUC(false, level);
}

void
ml_retrain_fill(const MlRetrainPolicy *policy, TimestampTz as_of, MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);
	MlSpec	   *spec = &training->spec;
	MlVersionFacts facts;
	JsonbValue	value;

	ml_retrain_prepare(training, policy->model, with_settings(policy), &facts);
	if (policy->time_column != NULL)
		spec->time_column = pstrdup(policy->time_column);
	/* the window of the active version is past */
	if (!ml_json_find(policy->changes, "since", &value))
		spec->since = NULL;
	if (!ml_json_find(policy->changes, "until", &value))
		spec->until = NULL;
	if (policy->period != NULL || policy->time_column != NULL)
		set_window(policy, as_of, spec);
	MemoryContextSwitchTo(old);
}

/* ---- steps, each tried ---- */

static void
ask(void *arg)
{
	Retraining *work = arg;
	MlRetrainPolicy *policy = ml_retrain_lock_policy(work->model);
	char	   *reason = policy != NULL ? ml_retrain_reason(policy, work->as_of) : NULL;

	if (reason != NULL)
		(void) ml_retrain_request(work->model, reason, work->as_of);
}

static void
take(void *arg)
{
	Retraining *work = arg;

	work->policy = ml_retrain_lock_policy(work->model);
	work->taken = work->policy != NULL && ml_retrain_take(work->model, work->as_of, &work->request);
}

static void
fill(void *arg)
{
	Retraining *work = arg;
	MlTraining *training = work->training;
	Oid			user;
	int			security;

	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&user, &security);
	ml_training_become_trainer(training);
	ml_retrain_fill(work->policy, work->as_of, training);
	SetUserIdAndSecContext(user, security);
	PopActiveSnapshot();
}

static void
judge(void *arg)
{
	Retraining *work = arg;

	PushActiveSnapshot(GetTransactionSnapshot());
	ml_judge_version(work->model, work->version);
	PopActiveSnapshot();
}

/* as the author, through the gates */
static void
promote(void *arg)
{
	Retraining *work = arg;
	MlAuthored	what = {.what = POLICY, .model = work->model, .privilege = ML_PRIVILEGE_PROMOTE, .hint = SET_AGAIN};
	Oid			type[3] = {TEXTOID, INT4OID, TEXTOID};
	Datum		value[3] = {
		CStringGetTextDatum(work->model), Int32GetDatum(work->version),
		CStringGetTextDatum(psprintf("retraining %d: %s", work->request.number, work->request.why))
	};
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	ml_author_become(work->policy->author.role, &what);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args("SELECT d.deployment FROM pg_catalog.mlops_promote($1, $2, reason => $3) AS d",
							  lengthof(type), type, value, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not promote");
	work->deployment = ml_result_int(0, 1, 0);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	SetUserIdAndSecContext(user, security);
}

/* ---- how it ends ---- */

static void
commit(const Retraining *work)
{
	if (!work->procedure->atomic)
		ml_procedure_commit();
}

static void
end(Retraining *work, const char *status, const ErrorData *error)
{
	ml_retrain_end(work->model, work->request.number, status, work->version, work->deployment,
				   work->policy->author.role, error);
	commit(work);
}

/* a step that failed: recorded, told, and raised if it is everybody's business */
static void
fail(Retraining *work, const char *status, const char *verb, ErrorData *error)
{
	end(work, ml_error_is_cancel(error) ? "cancelled" : status, error);
	if (ml_error_is_cancel(error))
		ReThrowError(error);
	ml_attempt_warn(error, psprintf("model \"%s\" was not %s", work->model, verb));
}

static void
hurry(void *arg)
{
	Retraining *work = arg;
	int			level = ml_author_hurry();

	work->step(work);
	AtEOXact_GUC(false, level);
}

static ErrorData *
attempt(Retraining *work, void (*step) (void *arg))
{
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	work->step = step;
	error = ml_procedure_attempt(work->procedure, hurry, work);
	if (error == NULL)
		commit(work);
	return error;
}

/* ---- one after the other ---- */

static bool
train(Retraining *work)
{
	MlTraining *training = work->training;
	ErrorData  *error;

	training->by = work->policy->author.role;
	training->atomic = work->procedure->atomic;
	training->note = psprintf("retraining %d: %s", work->request.number, work->request.why);
	error = attempt(work, fill);
	if (error == NULL)
		error = ml_training_attempt(training);
	if (error != NULL)
	{
		fail(work, "failed", "trained again", error);
		return false;
	}
	work->version = training->version;
	ml_training_tell(training);
	end(work, "trained", NULL);
	return true;
}

static void
decide(Retraining *work)
{
	ErrorData  *error = attempt(work, judge);

	if (error != NULL)
		fail(work, "trained", "judged", error);
	if (!work->policy->promote)
		return;
	error = attempt(work, promote);
	if (error == NULL)
		end(work, "promoted", NULL);
	else if (error->sqlerrcode == ERRCODE_ML_GATE_FAILED)
		end(work, "refused", error);
	else
		fail(work, "failed", "promoted", error);
}

static void
work_off(Retraining *work)
{
	ErrorData  *error = attempt(work, ask);

	if (error == NULL)
		error = attempt(work, take);
	if (error != NULL && ml_error_is_cancel(error))
		ReThrowError(error);
	if (error != NULL)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("whether model \"%s\" is to be trained again could not be told: %s", work->model, error->message)));
	if (error != NULL || !work->taken)
		return;
	work->training = ml_training_begin(work->procedure->cxt, work->model);
	if (train(work))
		decide(work);
	ml_training_end(work->training);
}

void
ml_retrain_work(MlTraining *procedure, const char *model, TimestampTz as_of)
{
	Retraining	work = {.procedure = procedure, .as_of = as_of};
	MemoryContext cxt = AllocSetContextCreate(procedure->cxt, "mlops retraining", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	work.model = pstrdup(model);
	work_off(&work);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}
