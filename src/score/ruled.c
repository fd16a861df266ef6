/*
 * ruled.c
 *		Rules on top of outputs: which fire on a row, and what they make of it.
 *
 * A rule sees what the rules before it have made of the prediction. Nothing
 * that a rule calculates raises an error; what can is scoring the row with
 * another version, which needs its columns as any version does.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#define FALLBACK	"fallback"

/* ---- what conditions see ---- */

static void
see_prediction(MlScorerRules *rules, const MlDecided *decided)
{
	MlRuleValue *value = &rules->view.prediction;

	value->isnull = decided->output == NULL || isnan(decided->output[0]);
	if (!value->isnull)
		value->number = decided->output[0];
}

static void
see_label(MlScorerRules *rules, const MlDecided *decided)
{
	MlRuleValue *value = &rules->view.label;
	const MlScorer *scorer = decided->scorer;
	const MlTarget *target = &scorer->model->recipe->target;

	value->isnull = decided->label == NULL && (decided->output == NULL || isnan(decided->output[0]));
	if (value->isnull)
		return;
	if (decided->label != NULL)
		value->bytes = decided->label;
	else if (target->task == ML_TASK_CLUSTER)
		value->bytes = psprintf("%d", (int) decided->output[0]);
	else
		value->bytes = target->class_label[ml_model_class(scorer->model, decided->output, scorer->resolved.threshold)];
	value->length = decided->label != NULL ? decided->label_length : (int) strlen(value->bytes);
}

static void
see_key(MlScorerRules *rules, const MlScoreInput *input)
{
	MlRuleValue *value = &rules->view.key;
	FunctionCallInfo fcinfo = input->fcinfo;
	int			n = input->key_argument;
	Datum		key;

	value->isnull = true;
	if (fcinfo == NULL && input->key != NULL)
	{
		value->bytes = input->key;
		value->length = input->nkey;
		value->isnull = false;
	}
	if (fcinfo == NULL || n == 0 || PG_ARGISNULL(n))
		return;
	if (!OidIsValid(rules->key_type))
		rules->key_type = get_fn_expr_argtype(fcinfo->flinfo, n);
	key = PG_GETARG_DATUM(n);
	if (rules->key_type == TEXTOID)
	{
		text	   *bytes = DatumGetTextPP(key);

		value->bytes = VARDATA_ANY(bytes);
		value->length = VARSIZE_ANY_EXHDR(bytes);
		value->isnull = false;
		return;
	}
	if (rules->key_type == INT8OID)
		value->bytes = DatumGetCString(DirectFunctionCall1(int8out, key));
	else if (rules->key_type == UUIDOID)
		value->bytes = DatumGetCString(DirectFunctionCall1(uuid_out, key));
	else
		return;
	value->length = strlen(value->bytes);
	value->isnull = false;
}

/* ---- another version ---- */

static MlScorer *
make_used(MlScorerRules *rules, const MlScorer *scorer, int version)
{
	MlScorer   *used = MemoryContextAllocZero(rules->cxt, sizeof(MlScorer));

	strlcpy(used->reference.model, scorer->resolved.model, NAMEDATALEN);
	if (version == ML_RULE_FALLBACK)
		strlcpy(used->reference.alias, FALLBACK, NAMEDATALEN);
	else
		used->reference.version = version;
	return used;
}

/*
 * Another version, which is kept at a place of the rules: resolved once per
 * statement, under the statement's snapshot; NULL: there is no fallback.
 */
MlScorer *
ml_score_used(MlScorer *scorer, int version, MlScorer **place, MlResult result)
{
	MlScorerRules *rules = scorer->rules;

	if (rules->carried || (*place != NULL && (*place)->current))
		return *place;
	if (version == ML_RULE_FALLBACK && !rules->no_fallback)
		rules->no_fallback = !ml_registry_has_alias(scorer->resolved.model, FALLBACK);
	if (version == ML_RULE_FALLBACK && rules->no_fallback)
		return NULL;
	if (*place == NULL)
		*place = make_used(rules, scorer, version);
	ml_score_refresh(*place, rules->cxt, result);
	ml_score_tolerate(*place, rules->program);
	return *place;
}

static void
use(MlScorer *scorer, int i, const MlScoreInput *input, MlResult result, MlDecided *decided)
{
	MlScorerRules *rules = scorer->rules;
	MlScorer   *used = ml_score_used(scorer, rules->program->rule[i].version, &rules->used[i], result);

	decided->output = NULL;
	decided->label = NULL;
	if (used == NULL)
	{
		rules->view.errors |= UINT64CONST(1) << i;
		return;
	}
	decided->scorer = used;
	if (ml_score_take(used, input))
		decided->output = ml_model_outputs(used->model, &used->row, used->work);
}

/* ---- actions ---- */

static void
act(MlScorer *scorer, int i, const MlScoreInput *input, MlResult result, MlDecided *decided)
{
	const MlRule *rule = &scorer->rules->program->rule[i];

	switch (rule->action)
	{
		case ML_RULE_SET:
			decided->own = rule->low;
			decided->output = &decided->own;
			break;
		case ML_RULE_CLIP:
			if (decided->output == NULL || isnan(decided->output[0]))
				break;
			decided->own = Min(Max(decided->output[0], rule->low), rule->high);
			decided->output = &decided->own;
			break;
		case ML_RULE_LABEL:
			decided->label = rule->label.bytes;
			decided->label_length = rule->label.length;
			break;
		case ML_RULE_SUPPRESS:
			decided->output = NULL;
			decided->label = NULL;
			break;
		case ML_RULE_USE:
			use(scorer, i, input, result, decided);
			break;
	}
}

void
ml_score_decide(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlDecided *decided)
{
	MlScorerRules *rules = scorer->rules;
	const MlRuleProgram *program = rules->program;
	uint64		fired = 0;

	rules->view.error = false;
	rules->view.errors = 0;
	rules->view.row++;
	rules->view.made = 0;
	see_prediction(rules, decided);
	if (program->reads_label)
		see_label(rules, decided);
	if (program->reads_key)
		see_key(rules, input);
	for (int i = ml_rule_next(&rules->view, 0); i < program->nrules; i = ml_rule_next(&rules->view, i + 1))
	{
		fired |= UINT64CONST(1) << i;
		act(scorer, i, input, result, decided);
		see_prediction(rules, decided);
		if (program->reads_label)
			see_label(rules, decided);
		if (program->rule[i].stop)
			break;
	}
	rules->fired.rules = fired;
	rules->fired.errors = rules->view.errors;
}

/* ---- results ---- */

Datum
ml_score_decided(FunctionCallInfo fcinfo, const MlDecided *decided, MlResult result)
{
	if (result == ML_RESULT_LABEL && decided->label != NULL)
		return PointerGetDatum(cstring_to_text_with_len(decided->label, decided->label_length));
	if (decided->output == NULL || isnan(decided->output[0]))
		PG_RETURN_NULL();
	if (result == ML_RESULT_VALUE)
		PG_RETURN_FLOAT8(decided->output[0]);
	if (result == ML_RESULT_LABEL)
		return ml_score_label(decided->scorer, decided->output);
	return ml_score_proba(decided->scorer, decided->output);
}
