/*
 * record.c
 *		Calls of mlops_predict and its siblings, recorded where they are made.
 *
 * Only in a server that has a ring (shared_preload_libraries). What is logged
 * and counted of a model is settled when its reference is resolved, so that a call of a
 * model without a log pays for one look at a flag. A call is recorded after
 * its result is known, in whatever process made it, and whatever becomes of
 * its transaction. Nothing here changes the result.
 *
 * The planner calls stable functions of constants to estimate how many rows a
 * condition lets through. Such a call is none that anybody made: a hook around
 * the planner counts how deep planning is nested. A function that executes
 * while it is planned around (or plans while it executes) is told apart by the
 * depth: above 0 everything that runs, runs for the planner's sake.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "compat.h"
#include "frame/hash.h"
#include "log/call.h"
#include "log/counts.h"
#include "log/launcher.h"
#include "log/log.h"
#include "mb/pg_wchar.h"
#include "optimizer/planner.h"
#include "registry/canary.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static planner_hook_type previous_planner = NULL;
int			ml_watch_planning = 0;

static PlannedStmt *
plan(Query *parse, const char *text, int options, ParamListInfo params)
{
	PlannedStmt *result;

	ml_watch_planning++;
	PG_TRY();
	{
		result = previous_planner ? previous_planner(parse, text, options, params) :
			standard_planner(parse, text, options, params);
	}
	PG_FINALLY();
	{
		ml_watch_planning--;
	}
	PG_END_TRY();
	return result;
}

static void
resolve(MlScorer *scorer, MlResult result)
{
	MlLogging  *logging = &scorer->logging;
	MlLogSettings settings;
	bool		predicts = result == ML_RESULT_VALUE || result == ML_RESULT_LABEL || result == ML_RESULT_PROBA;

	ml_registry_log_settings(scorer->resolved.model, &settings);
	logging->on = settings.sample > 0.0;
	logging->without_key = settings.without_key;
	logging->input = settings.input;
	logging->limit = ml_hash_limit(settings.sample);
	ml_counts_resolve(scorer, settings.statistics && predicts);
}

/* 'churn@canary' asks the canary whatever the row is: in the role are rows that were sent there */
static bool
is_named(const MlScorer *scorer)
{
	return strcmp(scorer->reference.alias, ML_CANARY) == 0 && scorer->resolved.deployment == 0;
}

const char *
ml_watch_role(const MlScorer *scorer)
{
	const MlReference *reference = &scorer->reference;

	return reference->version != 0 || is_named(scorer) ? "pinned" :
		reference->alias[0] != '\0' ? reference->alias : "active";
}

static void
put_label(const char *text, char *label, MlLogCall *call)
{
	strlcpy(label, text, ML_LABEL_MAX + 1);
	label[pg_mbcliplen(label, strlen(label), ML_LABEL_MAX)] = '\0';
	call->label = label;
	call->nlabel = strlen(label);
}

/* what is given back: that of another version, where a rule used one */
static void
describe_result(const MlDecided *decided, char *buffer, MlLogCall *call)
{
	const MlScorer *scorer = decided->scorer;
	char		number[ML_CLUSTER_LENGTH];
	const char *label;

	call->model = scorer->resolved.model;
	call->nmodel = strlen(call->model);
	call->version = scorer->resolved.version;
	call->label = NULL;
	call->prediction = ml_score_number(scorer, decided->output, number, &label);
	if (label != NULL)
		put_label(label, buffer, call);
}

/* a version that rules use is asked in the role of the one that they serve with */
void
ml_watch_describe(const MlAnswer *answer, char *label, MlLogCall *call)
{
	const MlDecided *decided = &answer->decided;

	describe_result(decided, label, call);
	call->deployment = answer->scorer->resolved.deployment;
	call->role = ml_watch_role(answer->scorer);
	call->nrole = strlen(call->role);
	if (decided->label != NULL)
		put_label(pnstrdup(decided->label, decided->label_length), label, call);
	call->checks = answer->failed;
	call->has_checks = answer->checked;
	if (!answer->ruled)
		return;
	call->rules = ml_score_fired(answer->scorer).rules;
	call->errors = ml_score_fired(answer->scorer).errors;
	call->has_rules = true;
}

void
ml_watch_shadows(const MlAnswer *answer, uint64 hash, instr_time start, MlLogCall *call)
{
	StringInfo	packed;

	if (answer->asked->resolved.shadows == 0 || RecoveryInProgress())
		return;
	packed = ml_score_shadows(answer, hash, start);
	call->shadows = packed ? packed->data : NULL;
	call->nshadows = packed ? packed->len : 0;
}

static void
record(const MlAnswer *answer)
{
	const MlScorer *scorer = answer->scorer;
	const MlScoreInput *input = answer->input;
	char		key[ML_KEY_BUFFER];
	char		label[ML_LABEL_MAX + 1];
	MlLogCall	call = {0};
	instr_time	end;
	instr_time	took;
	uint64		hash = 0;

	if (ml_watch_planning > 0)
		return;
	call.nkey = ml_score_key_argument(input->fcinfo, input->key_argument, key);
	call.key = call.nkey < 0 ? NULL : key;
	if (call.key == NULL && !scorer->logging.without_key)
		return;
	/* where all are logged, and no shadow is asked, nothing goes by it */
	if (scorer->logging.limit != PG_UINT64_MAX || answer->asked->resolved.shadows != 0)
		hash = ml_watch_hash(scorer->resolved.model, call.key, call.nkey);
	if (!ml_watch_in_sample(hash, scorer->logging.limit))
		return;
	INSTR_TIME_SET_CURRENT(end);
	took = end;
	INSTR_TIME_SUBTRACT(took, answer->start);
	call.latency = (float) (INSTR_TIME_GET_DOUBLE(took) * 1e6);
	ml_watch_shadows(answer, hash, end, &call);
	call.at = GetCurrentTimestamp();
	ml_watch_describe(answer, label, &call);
	if (scorer->logging.input)
		ml_watch_input(input, &call);
	ml_ring_put(&call);
}

static const MlScoreWatch watch = {
	.resolve = resolve,
	.record = record,
	.count = ml_count,
	.count_columns = ml_count_columns
};

/* never in pg_upgrade: nothing may run beside it, and nothing is asked that would be logged */
void
ml_watch_preload(void)
{
	if (IsBinaryUpgrade)
		return;
	ml_shared_request();
	ml_launcher_register();
	previous_planner = planner_hook;
	planner_hook = plan;
	ml_score_watch = &watch;
}
