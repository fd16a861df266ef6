/*
 * gate_rules.c
 *		The share of rows on which rules or hard checks decide: rules_fired_share.
 *
 * The rows of the edition are read once more, as they are stored, since rules see
 * columns that the version does not. Rules run as nobody, and the columns of a
 * set are of the server's own types, so that nobody's code runs as the owner.
 */
#include "postgres.h"

#include <math.h>

#include "deploy/gate.h"
#include "deploy/rule_set.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "registry/rule_row.h"
#include "score/score.h"
#include "utils/memutils.h"

#define WEIGHT "mlops_weight"

typedef struct Firing
{
	MlScorer	scorer;
	TupleDesc	desc;			/* blessed; NULL before the first row */
	int			weight;			/* attribute */
	double		rows;			/* by weight */
	double		fired;
} Firing;

static void
take_desc(Firing *firing, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(firing->scorer.cxt);

	firing->desc = BlessTupleDesc(CreateTupleDescCopy(desc));
	for (int i = 0; i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), WEIGHT) == 0)
			firing->weight = i + 1;
	MemoryContextSwitchTo(old);
}

/* rows that are all NULL meet neither, but count */
static void
take_row(void *arg, TupleDesc desc, TupleTableSlot *slot)
{
	Firing	   *firing = arg;
	MlScorer   *scorer = &firing->scorer;
	MlScoreInput how = {0};
	MlAnswer	answer;
	bool		isnull;
	double		weight;

	if (firing->desc == NULL)
		take_desc(firing, desc);
	slot_getallattrs(slot);
	weight = DatumGetFloat8(slot_getattr(slot, firing->weight, &isnull));
	if (isnull || weight == 0)
		return;
	firing->rows += weight;
	how.record = HeapTupleGetDatum(heap_form_tuple(firing->desc, slot->tts_values, slot->tts_isnull));
	ml_score_answer(scorer, &how, ML_RESULT_ANY, &answer);
	if (answer.barred || (answer.ruled && ml_score_fired(scorer).rules != 0))
		firing->fired += weight;
}

static MlRuleProgram *
load_rules(const MlGateHearing *hearing)
{
	MlStoredRules stored;

	if (!ml_registry_find_rules(hearing->model, hearing->rules, &stored))
		ml_error_no_rules(hearing->model, hearing->rules, ml_rules_numbers(hearing->model));
	return ml_rules_load(VARDATA_ANY(stored.program), VARSIZE_ANY_EXHDR(stored.program));
}

double
ml_gate_rules_fired(const MlGateHearing *hearing, const MlEdition *edition, const MlModel *model)
{
	static const uint8 no_checksum[ML_SHA256_LENGTH] = {0};
	Firing		firing = {0};
	MlFrameRequest request = {0};
	MlRuleProgram *program;
	MlBudget	budget;

	if (hearing->rules == 0)
		return 0;
	program = load_rules(hearing);
	ml_rule_check_model(program, hearing->rules, model, hearing->model, hearing->version);
	strlcpy(firing.scorer.resolved.model, hearing->model, NAMEDATALEN);
	firing.scorer.resolved.version = hearing->version;
	firing.scorer.resolved.threshold = isnan(hearing->threshold) ? 0.5 : hearing->threshold;
	firing.scorer.cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops predict model", ALLOCSET_DEFAULT_SIZES);
	ml_score_prepare(&firing.scorer, model, ML_RESULT_ANY);
	ml_score_set_rules(&firing.scorer, program, no_checksum,
					   AllocSetContextCreate(firing.scorer.cxt, "mlops predict rules", ALLOCSET_SMALL_SIZES));
	request.source = edition->query;
	request.features = palloc0(sizeof(char *));
	request.weight = WEIGHT;
	request.tee = take_row;
	request.tee_arg = &firing;
	ml_budget_begin(&budget);
	ml_edition_read(edition, &request, &budget);
	return firing.rows > 0 ? firing.fired / firing.rows : NAN;
}
