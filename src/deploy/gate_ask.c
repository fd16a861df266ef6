/*
 * gate_ask.c
 *		Some gates of a model, heard for others than promotions.
 */
#include "postgres.h"

#include "deploy/ask.h"
#include "deploy/gate.h"
#include "deploy/promotion.h"
#include "lib/stringinfo.h"

static const MlGate *
find(const List *gates, const char *name)
{
	ListCell   *cell;

	foreach(cell, gates)
	{
		const MlGate *gate = lfirst(cell);

		if (strcmp(gate->name, name) == 0)
			return gate;
	}
	return NULL;
}

static void
append(StringInfo text, const char *gate, const char *explanation)
{
	appendStringInfo(text, "%sgate \"%s\": %s", text->len > 0 ? "; " : "", gate, explanation);
}

/* the gates that are there; those that are not are told */
static List *
choose(const List *gates, char **name, int n, StringInfo missing)
{
	List	   *chosen = NIL;

	for (int i = 0; i < n; i++)
	{
		const MlGate *gate = find(gates, name[i]);

		if (gate != NULL)
			chosen = lappend(chosen, unconstify(MlGate *, gate));
		else
			append(missing, name[i], "it is not there any more");
	}
	return chosen;
}

MlGatesSay
ml_gates_ask(const char *model, int version, double threshold, int rules, char **gate, int ngates, char **why)
{
	MlGateHearing hearing = {.model = model, .version = version};
	MlGatesSay	say = ML_GATES_PASS;
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	ml_promotion_prepare(&hearing, threshold, rules);
	hearing.gates = choose(ml_registry_gates(model), gate, ngates, &text);
	if (text.len > 0)
		say = ML_GATES_CANNOT_TELL;
	ml_gates_hear(&hearing);
	foreach(cell, hearing.verdicts)
	{
		const MlVerdict *verdict = lfirst(cell);

		if (!ml_verdict_blocks(verdict))
			continue;
		append(&text, verdict->gate->name, verdict->explanation);
		say = Max(say, verdict->ruling == ML_RULING_FAIL ? ML_GATES_FAIL : ML_GATES_CANNOT_TELL);
	}
	*why = text.data;
	return say;
}

void
ml_gate_require(const char *model, const char *name)
{
	if (find(ml_registry_gates(model), name) == NULL)
		ml_gate_error_unknown(model, name);
}
