/*
 * gate_hear.c
 *		What gates say of a version.
 *
 * The gates of one validation set share one jury: its rows are read once, and
 * the version and the active one predict on the same rows. What keeps a set
 * from being read - it is not there, was never refreshed, lacks a column - keeps
 * its gates closed and is their explanation; so does a metric that raises.
 *
 * Of the interval of a difference, turned so that more is better: no worse by
 * more than max_drop passes if the lower end is above -max_drop, and fails if
 * the upper end is below it; between the two the rows cannot tell. min_gain
 * likewise. So a gate errs in 2.5 % of the cases at most, on the side that its
 * reader would expect.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "deploy/gate.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

/* a version that is judged */
typedef struct Party
{
	int			version;
	double		threshold;
	MlResolved	resolved;
	const MlModel *model;
	MlJudged   *judged;
} Party;

/* the gates of one set */
typedef struct Session
{
	MlGateHearing  *hearing;
	const char *validation_set; /* NULL: the model's only one */
	List	   *gates;			/* of MlGate, all of this set */
	MemoryContext cxt;			/* of the verdicts */
	List	   *verdicts;

	MlEdition	edition;
	MlJury	   *jury;
	Party		candidate;
	Party		champion;
	bool		has_champion;
} Session;

/* ---- verdicts ---- */

static const MlEstimate no_estimate = {NAN, NAN, NAN, NAN, 0, 0};
static const MlDifference no_difference = {NAN, NAN, NAN, NAN, NAN, NAN, 0, 0};

static MlVerdict *
new_verdict(const MlGate *gate)
{
	MlVerdict  *verdict = palloc0(sizeof(MlVerdict));

	verdict->gate = gate;
	verdict->estimate = no_estimate;
	verdict->difference = no_difference;
	return verdict;
}

bool
ml_verdict_blocks(const MlVerdict *verdict)
{
	return verdict->gate->blocks &&
		(verdict->ruling == ML_RULING_FAIL || verdict->ruling == ML_RULING_CANNOT_TELL);
}

/* a bound that does not pass outweighs those that do, and a failure an open question */
static void
rule(MlVerdict *verdict, MlRuling ruling, char *why)
{
	bool		worse = ruling == ML_RULING_FAIL ||
		(ruling == ML_RULING_CANNOT_TELL && verdict->ruling != ML_RULING_FAIL) ||
		(ruling == ML_RULING_SKIPPED && verdict->ruling == ML_RULING_PASS && verdict->explanation == NULL);

	if (verdict->explanation == NULL)
		verdict->explanation = why;
	else if (worse && verdict->ruling == ML_RULING_PASS)
		verdict->explanation = why;
	else if (ruling != ML_RULING_PASS)
		verdict->explanation = psprintf("%s; %s", verdict->explanation, why);
	if (worse)
		verdict->ruling = ruling;
}

/* ---- bounds of the value ---- */

/* value, and what it is of */
static char *
say_value(const MlVerdict *verdict)
{
	const MlEstimate *estimate = &verdict->estimate;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s is %.4g", verdict->gate->metric, estimate->value);
	if (!isnan(estimate->low) && verdict->gate->on_interval)
		appendStringInfo(&text, " [%.4g, %.4g]", estimate->low, estimate->high);
	appendStringInfo(&text, " on " INT64_FORMAT " rows", estimate->n);
	return text.data;
}

/* is value at least bound (at_least) or at most, on the point or on the interval? */
static void
rule_bound(MlVerdict *verdict, double bound, bool at_least)
{
	const MlGate *gate = verdict->gate;
	const MlEstimate *estimate = &verdict->estimate;
	double		sign = at_least ? 1.0 : -1.0;
	double		worst = sign * (gate->on_interval ? (at_least ? estimate->low : estimate->high) : estimate->value);
	double		best = sign * (gate->on_interval ? (at_least ? estimate->high : estimate->low) : estimate->value);
	char	   *what = psprintf("%s; at %s %.4g is required", say_value(verdict), at_least ? "least" : "most", bound);

	if (isnan(estimate->value))
		rule(verdict, ML_RULING_FAIL, psprintf("%s is not defined on these rows", gate->metric));
	else if (gate->on_interval && isnan(worst))
		rule(verdict, ML_RULING_CANNOT_TELL, psprintf("%s, and its interval is not known", what));
	else if (worst >= sign * bound)
		rule(verdict, ML_RULING_PASS, what);
	else if (best < sign * bound)
		rule(verdict, ML_RULING_FAIL, what);
	else
		rule(verdict, gate->lenient ? ML_RULING_PASS : ML_RULING_CANNOT_TELL,
			 psprintf("%s, which lies in its interval", what));
}

/* ---- bounds of the difference ---- */

static char *
say_difference(const Session *session, const MlVerdict *verdict)
{
	const MlDifference *d = &verdict->difference;

	return psprintf("%s is %.4g against %.4g of version %d, a difference of %+.4g [%+.4g, %+.4g] on " INT64_FORMAT " rows",
					verdict->gate->metric, d->candidate, d->champion, session->champion.version,
					d->difference, d->low, d->high, d->n);
}

/* is the gain at least least? least is -max_drop or min_gain */
static void
rule_difference(const Session *session, MlVerdict *verdict, const MlJudgeMetric *metric, double least, char *asked)
{
	const MlGate *gate = verdict->gate;
	const MlDifference *d = &verdict->difference;
	bool		up = ml_judge_metric_higher_is_better(metric);
	double		low = up ? d->low : -d->high;
	double		high = up ? d->high : -d->low;
	char	   *what = psprintf("%s; %s", say_difference(session, verdict), asked);

	if (isnan(d->difference))
		rule(verdict, ML_RULING_FAIL, psprintf("%s is not defined on the rows that neither version was trained on",
											   gate->metric));
	else if (isnan(low) || isnan(high))
		rule(verdict, ML_RULING_CANNOT_TELL, psprintf("%s; the interval of the difference is not known", what));
	else if (low >= least)
		rule(verdict, ML_RULING_PASS, what);
	else if (high < least)
		rule(verdict, ML_RULING_FAIL, what);
	else if (gate->lenient)
		rule(verdict, ML_RULING_PASS, psprintf("%s, which is not shown to be missed", what));
	else if (d->needed > 0)
		rule(verdict, ML_RULING_CANNOT_TELL, psprintf("%s: these rows cannot tell; about " INT64_FORMAT " would be needed",
													  what, d->needed));
	else
		rule(verdict, ML_RULING_CANNOT_TELL, psprintf("%s: these rows cannot tell", what));
}

static void
compare(const Session *session, MlVerdict *verdict, const MlJudgeMetric *metric, int slice)
{
	const MlGate *gate = verdict->gate;

	if (!session->has_champion)
	{
		rule(verdict, ML_RULING_SKIPPED, "nothing is active that it could be compared with");
		return;
	}
	ml_judge_compare(session->candidate.judged, session->champion.judged, metric, slice, &verdict->difference);
	if (verdict->difference.n < gate->min_rows)
	{
		rule(verdict, ML_RULING_FAIL,
			 psprintf("only " INT64_FORMAT " rows that neither version was trained on; at least " INT64_FORMAT " are required",
					  verdict->difference.n, gate->min_rows));
		return;
	}
	if (!isnan(gate->max_drop))
		rule_difference(session, verdict, metric, -gate->max_drop,
						psprintf("at most %.4g may be lost", gate->max_drop));
	if (!isnan(gate->min_gain))
		rule_difference(session, verdict, metric, gate->min_gain,
						psprintf("at least %.4g must be gained", gate->min_gain));
}

/* ---- one gate on one slice ---- */

/* the slices of a set that are too small are told and left alone, unless a gate names them */
static bool
is_too_small(const Session *session, MlVerdict *verdict, int slice, int64 n, bool named)
{
	const MlGate *gate = verdict->gate;
	int64		required = gate->min_rows;

	if (!named)
		required = Max(required, ml_jury_slice(session->jury, slice)->min_rows);
	if (n >= required)
		return false;
	rule(verdict, named ? ML_RULING_FAIL : ML_RULING_SKIPPED,
		 psprintf("only " INT64_FORMAT " rows%s; at least " INT64_FORMAT " are required", n,
				  verdict->estimate.seen > 0 ?
				  psprintf(" (besides " INT64_FORMAT " that the version was trained on)", verdict->estimate.seen) : "",
				  required));
	return true;
}

static void
hear_metric(const Session *session, MlVerdict *verdict, int slice, bool named)
{
	const MlGate *gate = verdict->gate;
	MlJudgeMetric *metric = ml_judge_metric(session->hearing->model,
											session->candidate.model->recipe->target.task, gate->metric);

	ml_judge_estimate(session->candidate.judged, metric, slice, &verdict->estimate);
	if (is_too_small(session, verdict, slice, verdict->estimate.n, named))
		return;
	if (!isnan(gate->minimum))
		rule_bound(verdict, gate->minimum, true);
	if (!isnan(gate->maximum))
		rule_bound(verdict, gate->maximum, false);
	if (!isnan(gate->max_drop) || !isnan(gate->min_gain))
		compare(session, verdict, metric, slice);
}

static void
hear_measure(const Session *session, MlVerdict *verdict, int slice, bool named)
{
	const MlGate *gate = verdict->gate;
	const char *feature = NULL;

	verdict->estimate.n = ml_jury_slice(session->jury, slice)->n;
	if (is_too_small(session, verdict, slice, verdict->estimate.n, named))
		return;
	if (strcmp(gate->metric, ML_GATE_RULES_FIRED) == 0)
		verdict->estimate.value = ml_gate_rules_fired(session->hearing, &session->edition, session->candidate.model);
	else
		verdict->estimate.value = ml_gate_measure(gate->metric, session->jury, session->candidate.model, slice,
												  &feature);
	if (!isnan(gate->minimum))
		rule_bound(verdict, gate->minimum, true);
	if (!isnan(gate->maximum))
		rule_bound(verdict, gate->maximum, false);
	if (feature != NULL)
		verdict->explanation = psprintf("%s (feature \"%s\")", verdict->explanation, feature);
}

static void
hear_slice(Session *session, const MlGate *gate, int slice, bool named)
{
	MemoryContext old = MemoryContextSwitchTo(session->cxt);
	MlVerdict  *verdict = new_verdict(gate);

	verdict->validation_set = pstrdup(session->edition.validation_set);
	verdict->edition = session->edition.edition;
	if (slice != ML_JURY_OVERALL)
		verdict->slice = pstrdup(ml_jury_slice(session->jury, slice)->name);
	if (ml_gate_is_measure(gate->metric))
		hear_measure(session, verdict, slice, named);
	else
		hear_metric(session, verdict, slice, named);
	session->verdicts = lappend(session->verdicts, verdict);
	MemoryContextSwitchTo(old);
}

static void
hear_missing_slice(Session *session, const MlGate *gate, const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(session->cxt);
	MlVerdict  *verdict = new_verdict(gate);

	verdict->validation_set = pstrdup(session->edition.validation_set);
	verdict->edition = session->edition.edition;
	verdict->slice = pstrdup(name);
	rule(verdict, ML_RULING_FAIL, psprintf("validation set \"%s\" has no slice \"%s\"",
										   session->edition.validation_set, name));
	session->verdicts = lappend(session->verdicts, verdict);
	MemoryContextSwitchTo(old);
}

static void
hear_gate(Session *session, const MlGate *gate)
{
	if (gate->nslices == 0)
		hear_slice(session, gate, ML_JURY_OVERALL, true);
	for (int i = 0; i < gate->nslices; i++)
	{
		int			slice;

		if (strcmp(gate->slice[i], ML_GATE_EVERY_SLICE) == 0)
		{
			for (slice = ML_JURY_OVERALL + 1; slice < ml_jury_nslices(session->jury); slice++)
				if (ml_jury_nrows(session->jury, slice) > 0)
					hear_slice(session, gate, slice, false);
			continue;
		}
		slice = ml_jury_find_slice(session->jury, gate->slice[i]);
		if (slice < 0)
			hear_missing_slice(session, gate, gate->slice[i]);
		else
			hear_slice(session, gate, slice, true);
	}
}

/* ---- one set ---- */

static void
find_party(const Session *session, Party *party, int version, double threshold)
{
	MlReference reference = {0};

	strlcpy(reference.model, session->hearing->model, NAMEDATALEN);
	reference.version = version;
	party->version = version;
	party->threshold = threshold;
	party->model = ml_registry_model(&reference, ML_PRIVILEGE_PREDICT, CurrentMemoryContext, &party->resolved);
}

static MlJury *
call_jury(Session *session)
{
	MlJuryRequest request = {0};
	const MlModel *version[2] = {session->candidate.model, session->champion.model};
	int			number[2] = {session->candidate.version, session->champion.version};
	ListCell   *cell;

	request.nversions = session->has_champion ? 2 : 1;
	request.number = number;
	request.model = session->hearing->model;
	request.version = version;
	foreach(cell, session->gates)
	{
		const MlGate *gate = lfirst(cell);

		if (!ml_gate_is_measure(gate->metric))
			request.metrics = lappend(request.metrics,
									  ml_judge_metric(request.model, session->candidate.model->recipe->target.task,
													  gate->metric));
	}
	return ml_jury_of_edition(&request, &session->edition);
}

static void
hear_set(void *arg)
{
	Session    *session = arg;
	MlGateHearing  *hearing = session->hearing;
	ListCell   *cell;

	ml_edition_open(hearing->model, session->validation_set, 0, &session->edition);
	find_party(session, &session->candidate, hearing->version, hearing->threshold);
	session->has_champion = hearing->champion != 0;
	if (session->has_champion)
		find_party(session, &session->champion, hearing->champion, hearing->champion_threshold);
	session->jury = call_jury(session);
	session->candidate.judged = ml_jury_judge(session->jury, &session->candidate.resolved, session->candidate.model,
											  hearing->threshold);
	if (session->has_champion)
		session->champion.judged = ml_jury_judge(session->jury, &session->champion.resolved, session->champion.model,
												 hearing->champion_threshold);
	foreach(cell, session->gates)
		hear_gate(session, lfirst(cell));
	ml_jury_end(session->jury);
}

static void
close_gates(Session *session, const ErrorData *error)
{
	ListCell   *cell;

	session->verdicts = NIL;
	foreach(cell, session->gates)
	{
		MlVerdict  *verdict = new_verdict(lfirst(cell));

		verdict->validation_set = session->validation_set;
		rule(verdict, ML_RULING_FAIL, error->detail ?
			 psprintf("%s (%s)", error->message, error->detail) : pstrdup(error->message));
		session->verdicts = lappend(session->verdicts, verdict);
	}
}

/* the only set of the model stands for none, so that its gates share one jury */
static const char *
set_of(const MlGate *gate, const List *sets)
{
	return gate->validation_set == NULL && list_length(sets) == 1 ? linitial(sets) : gate->validation_set;
}

static bool
same_set(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* the verdicts of all gates on a set */
static List *
hear_gates_of(MlGateHearing *hearing, const char *validation_set, const List *sets)
{
	Session		session = {0};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops gates", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	ErrorData  *error;
	ListCell   *cell;

	session.hearing = hearing;
	session.validation_set = validation_set;
	session.cxt = CurrentMemoryContext;
	foreach(cell, hearing->gates)
	{
		MlGate	   *gate = lfirst(cell);

		if (gate->query == NULL && same_set(set_of(gate, sets), validation_set))
			session.gates = lappend(session.gates, gate);
	}
	old = MemoryContextSwitchTo(cxt);
	error = ml_attempt(hear_set, &session);
	MemoryContextSwitchTo(old);
	if (error != NULL)
		close_gates(&session, error);
	MemoryContextDelete(cxt);
	return session.verdicts;
}

/* ---- all of them ---- */

/* has a gate before this one been heard on the same set? */
static bool
was_heard(const MlGateHearing *hearing, const MlGate *gate, const List *sets)
{
	ListCell   *cell;

	foreach(cell, hearing->gates)
	{
		const MlGate *other = lfirst(cell);

		if (other == gate)
			return false;
		if (other->query == NULL && same_set(set_of(other, sets), set_of(gate, sets)))
			return true;
	}
	return false;
}

void
ml_gates_hear(MlGateHearing *hearing)
{
	List	   *sets = ml_validation_sets(hearing->model);
	ListCell   *cell;

	foreach(cell, hearing->gates)
	{
		const MlGate *gate = lfirst(cell);
		MlVerdict  *verdict;

		if (gate->query == NULL)
		{
			if (!was_heard(hearing, gate, sets))
				hearing->verdicts = list_concat(hearing->verdicts,
												hear_gates_of(hearing, set_of(gate, sets), sets));
			continue;
		}
		verdict = new_verdict(gate);
		ml_gate_query(gate, hearing, verdict);
		hearing->verdicts = lappend(hearing->verdicts, verdict);
	}
}
