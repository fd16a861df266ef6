/*
 * compare_live.c
 *		mlops_compare_live: a shadow and the active version on the same logged
 *		calls, by what came true of them.
 *
 * Rows that a rule touched are left out: it decided them, whichever version had been asked. Both
 * predictions of a call are of one row, so that the tests are paired ones, as in
 * mlops_compare; calls of one key count as one cluster (live.h).
 *
 * Where predictions influence their own outcomes (a loan that is refused is never paid
 * back) the outcomes in the log are those that the active version's decisions led to. What they would
 * have been under the shadow's nobody knows, so such a comparison favours who decided: it is
 * refused until somebody has said why it is meaningful, which is kept.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "json.h"
#include "judge/hearing.h"
#include "log/log.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "watch/live.h"

#define NCOLUMNS 14				/* slice, metric, candidate, champion, difference, low, high, p_value, n, needed, predictions,
								 * always_low, always_high, always_p_value */

PG_FUNCTION_INFO_V1(mlops_compare_live);

typedef struct Question
{
	char	   *model;
	char	   *shadow;			/* name or version, as text */
	int			candidate;
	int			champion;
	char	   *acknowledge;	/* or NULL */
	MlLiveRequest live;
} Question;

/* ---- who is compared ---- */

ml_noreturn static void refuse_shadow(const Question *question);

static void
refuse_shadow(const Question *question)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no shadow \"%s\"", question->model, question->shadow),
			 errdetail("It is neither the name of a shadow nor the number of a version."),
			 errhint("SELECT * FROM mlops.shadow lists them; one that was taken away is named by its version.")));
}

/* a name, or the reference that mlops_shadow returned, 'churn@shadow.next', or 'churn/7' */
static char *
name_of(const char *model, char *shadow)
{
	size_t		length = strlen(model);
	char	   *rest = shadow + length;

	if (strncmp(shadow, model, length) != 0)
		return shadow;
	if (strncmp(rest, "@" ML_SHADOW_PREFIX, strlen(ML_SHADOW_PREFIX) + 1) == 0)
		return rest + strlen(ML_SHADOW_PREFIX) + 1;
	return *rest == '/' ? rest + 1 : shadow;
}

/* 0: it is no number */
static int
version_of(const char *text)
{
	char	   *end;
	long		version = strtol(text, &end, 10);

	return end == text || *end != '\0' || version < 1 || version > PG_INT32_MAX ? 0 : (int) version;
}

static void
find_versions(Question *question)
{
	static MlStatement select = {
		"SELECT (SELECT w.version FROM mlops_catalog.shadow w "
		"WHERE w.model OPERATOR(pg_catalog.=) $1 AND w.name OPERATOR(pg_catalog.=) $2), s.version "
		"FROM mlops_catalog.serving s WHERE s.model OPERATOR(pg_catalog.=) $1"
	};
	MlArguments args = {0};
	MlRegistryScope scope;
	int			active;

	ml_bind_text(&args, question->model);
	ml_bind_text(&args, question->shadow);
	ml_registry_enter(&scope);
	if (ml_statement_look(&select, &args) == 0)
		ml_error_model_gone(question->model);
	question->candidate = ml_result_int(0, 1, version_of(question->shadow));
	active = ml_result_int(0, 2, 0);
	ml_registry_leave(&scope);
	if (question->candidate == 0)
		refuse_shadow(question);
	if (question->champion == 0)
		question->champion = active;
	if (question->champion == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model \"%s\" has no active version", question->model),
				 errdetail("A shadow is compared with what was answered."),
				 errhint("Name the version that answered: champion => 1.")));
}

/* ---- where predictions influence outcomes ---- */

static bool
has_feedback(const char *model)
{
	MlModelRow *row = ml_registry_model_row(model);
	JsonbValue	value;

	return row != NULL && row->settings != NULL && ml_json_find(row->settings, "feedback_loop", &value) &&
		value.type == jbvBool && value.val.boolean;
}

static void
keep_acknowledgement(const Question *question)
{
	const char *by = GetUserNameFromId(GetUserId(), false);
	MlRegistryScope scope;

	ml_registry_require_writable("acknowledge a comparison");
	ml_privilege_require(question->model, ML_PRIVILEGE_PROMOTE);
	ml_registry_enter(&scope);
	ml_serving_lock(question->model);
	ml_shadow_write_event(question->model, "acknowledged", NULL, question->candidate, NAN, question->acknowledge, by);
	ml_registry_leave(&scope);
}

static void
require_acknowledgement(const Question *question)
{
	MlRegistryScope scope;
	bool		acknowledged;

	if (!has_feedback(question->model))
		return;
	if (question->acknowledge != NULL && question->acknowledge[0] != '\0')
	{
		keep_acknowledgement(question);
		return;
	}
	ml_registry_enter(&scope);
	acknowledged = ml_shadow_is_acknowledged(question->model, question->candidate);
	ml_registry_leave(&scope);
	if (!acknowledged)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of model \"%s\" cannot be compared by the outcomes of what it did not decide",
						question->candidate, question->model),
				 errdetail("The model is marked feedback_loop: its predictions influence their own outcomes. Those in the log "
						   "are what the decisions of version %d led to, not what version %d would have led to.",
						   question->champion, question->candidate),
				 errhint("Let it decide for a share of the keys instead: mlops_promote(%s, %d, share => 0.05). Or say why "
						 "the comparison is meaningful nevertheless: acknowledge => '...'; it is kept.",
						 quote_literal_cstr(question->model), question->candidate)));
}

/* ---- comparing ---- */

static List *
read_metrics(FunctionCallInfo fcinfo, int n, const char *model)
{
	MlTask		task = ml_live_task(model);
	char	  **name = NULL;
	int			nnames = 0;

	if (task == 0)
		return NIL;
	if (!PG_ARGISNULL(n))
		name = ml_argument_texts(fcinfo, n, "metrics", &nnames);
	return nnames > 0 ? ml_live_metrics(model, task, name, nnames, true) : list_make1(ml_judge_metric(model, task, NULL));
}

static void
put_difference(MlRows *rows, const MlLiveGroup *group, const char *metric, const MlLiveDifference *difference)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {0};

	ml_rows_text(value, isnull, 0, group->slice);
	ml_rows_text(value, isnull, 1, metric);
	ml_difference_columns(value, isnull, 2, &difference->once);
	value[10] = Int64GetDatum(group->predictions);
	ml_rows_number(value, isnull, 11, difference->always.low);
	ml_rows_number(value, isnull, 12, difference->always.high);
	ml_rows_number(value, isnull, 13, difference->always.p_value);
	ml_rows_add(rows, value, isnull);
}

static void
compare_group(MlLive *live, MlLiveGroup *group, MlRows *rows)
{
	MlLiveGroup *shadow = ml_live_shadow(live, group);
	ListCell   *cell;

	foreach(cell, live->request->metrics)
	{
		MlLiveDifference difference;

		if (ml_live_compare(live, shadow, group, lfirst(cell), &difference))
			put_difference(rows, group, ml_judge_metric_name(lfirst(cell)), &difference);
	}
	ml_live_forget(live, shadow);
	ml_live_forget(live, group);
}

/* what others answered is nothing to compare with, nor to say of what the log lacks */
static void
keep_champion(MlLive *live, int champion)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, live->groups)
	{
		MlLiveGroup *group = lfirst(cell);

		if (group->version == champion && strcmp(group->role, "active") == 0)
			kept = lappend(kept, group);
	}
	live->groups = kept;
}

static void
compare(const Question *question, MlRows *rows)
{
	MlLive	   *live = ml_live_read(&question->live);
	ListCell   *cell;

	keep_champion(live, question->champion);
	foreach(cell, live->groups)
		compare_group(live, lfirst(cell), rows);
	ml_live_tell_missing(live);
	if (live->groups == NIL)
		ereport(NOTICE,
				(errmsg("no call of model \"%s\" that version %d answered was also asked of version %d in that time",
						question->model, question->champion, question->candidate),
				 errhint("SELECT * FROM mlops_shadow_report(%s) says what shadows did.", quote_literal_cstr(question->model))));
	ml_live_end(live);
}

/* ---- SQL ---- */

static void
read_question(FunctionCallInfo fcinfo, Question *question)
{
	MlLiveRequest *live = &question->live;
	int64		delay;
	int			nslices;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 1, "shadow");
	ml_require_argument(fcinfo, 2, "period");
	ml_require_argument(fcinfo, 6, "label_delay");
	ml_require_argument(fcinfo, 8, "as_of");
	question->model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	question->shadow = name_of(question->model, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	ml_privilege_require(question->model, ML_PRIVILEGE_READ);
	question->champion = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	question->acknowledge = ml_argument_text(fcinfo, 7);
	find_versions(question);
	live->model = question->model;
	live->by = ML_LIVE_BY_WINDOW;
	live->shadow = question->candidate;
	live->metrics = read_metrics(fcinfo, 4, question->model);
	(void) ml_argument_texts(fcinfo, 5, "slices", &nslices);
	live->slices = PG_ARGISNULL(5) ? (Datum) 0 : PG_GETARG_DATUM(5);
	live->width = ml_watch_interval(PG_GETARG_INTERVAL_P(2));
	delay = ml_watch_interval(PG_GETARG_INTERVAL_P(6));
	live->as_of = PG_GETARG_TIMESTAMPTZ(8);
	ml_watch_require_period(live->width, delay, live->as_of);
	live->until = live->as_of - delay;
	live->from = live->until - live->width;
}

/* mlops_compare_live(model, shadow, period, champion, metrics, slices, label_delay, acknowledge, as_of) */
Datum
mlops_compare_live(PG_FUNCTION_ARGS)
{
	Question	question = {0};
	MlRows		rows;

	read_question(fcinfo, &question);
	require_acknowledgement(&question);
	ml_rows_begin(fcinfo, &rows);
	compare(&question, &rows);
	return (Datum) 0;
}
