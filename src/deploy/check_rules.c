/*
 * check_rules.c
 *		mlops_check_rules: what rules and checks would change, without serving them.
 *
 * The source is read on a cursor, as the caller and read-only; each row is
 * scored by the version that rules are checked against, and checks and rules are
 * applied by the code that serves them. Nothing is kept but sums.
 */
#include "postgres.h"

#include <math.h>

#include "deploy/rule_set.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "frame/frame.h"
#include "json.h"
#include "miscadmin.h"
#include "registry/rule_row.h"
#include "result.h"
#include "score/score.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(mlops_check_rules);
PG_FUNCTION_INFO_V1(mlops_check_rules_text);
PG_FUNCTION_INFO_V1(mlops_check_rules_number);

#define ARG_CHECKS	3
#define FETCH		1000
#define NCOLUMNS	8			/* rule, rows, fired, errors, mean before, mean after, suppressed, labels changed */
#define ALL			"(all)"

typedef struct Sums
{
	int64		rows;			/* of the rule: those that came to it */
	int64		fired;
	int64		errors;
	double		before;			/* over the rows that count */
	int64		nbefore;
	double		after;
	int64		nafter;
	int64		suppressed;
	int64		labels;
} Sums;

typedef struct Trial
{
	MlScorer	scorer;
	MlRuleProgram *program;
	Sums		all;
	Sums	   *rule;
	Sums	   *check;
	MemoryContext row_cxt;
} Trial;

/* ---- a row ---- */

static void
count_values(Sums *sums, const double *before, const double *after, bool number)
{
	if (before != NULL && number)
	{
		sums->before += before[0];
		sums->nbefore++;
	}
	if (after != NULL && number)
	{
		sums->after += after[0];
		sums->nafter++;
	}
	sums->suppressed += before != NULL && after == NULL;
}

static const double *
known(const double *output)
{
	return output == NULL || isnan(output[0]) ? NULL : output;
}

static bool
has_labels(const MlModel *model)
{
	MlTask		task = model->recipe->target.task;

	return task == ML_TASK_BINARY || task == ML_TASK_MULTICLASS || task == ML_TASK_CLUSTER;
}

/* NULL: none */
static char *
label_of(const MlScorer *scorer, const double *output)
{
	if (output == NULL || !has_labels(scorer->model))
		return NULL;
	return TextDatumGetCString(ml_score_label(scorer, output));
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* the rules up to that one, as if there were no others: what each does is the difference that it makes */
static void
decide_until(Trial *trial, int nrules, const MlScoreInput *input, const MlDecided *checked, MlDecided *decided)
{
	int			all = trial->program->nrules;

	trial->program->nrules = nrules;
	*decided = *checked;
	ml_score_decide(&trial->scorer, input, ML_RESULT_ANY, decided);
	trial->program->nrules = all;
}

static const char *
decided_label(const MlDecided *decided)
{
	return decided->label ? decided->label : label_of(decided->scorer, known(decided->output));
}

static void
count_change(Sums *sums, const MlDecided *before, const MlDecided *after, bool number)
{
	sums->fired++;
	count_values(sums, known(before->output), known(after->output), number);
	sums->labels += !same_text(decided_label(before), decided_label(after));
}

/* checked: what is decided when rules are asked */
static void
count_rule(Trial *trial, int i, const MlScoreInput *input, const MlDecided *checked, bool number)
{
	MlScorerRules *rules = trial->scorer.rules;
	Sums	   *sums = &trial->rule[i];
	MlDecided	without;
	MlDecided	with;

	decide_until(trial, i, input, checked, &without);
	decide_until(trial, i + 1, input, checked, &with);
	sums->rows++;
	sums->errors += (rules->fired.errors & (UINT64CONST(1) << i)) != 0;
	if (rules->fired.rules & (UINT64CONST(1) << i))
		count_change(sums, &without, &with, number);
}

/* does a rule before that one end the list on this row? */
static bool
is_stopped(const Trial *trial, uint64 fired, int i)
{
	for (int r = 0; r < i; r++)
		if (trial->program->rule[r].stop && (fired & (UINT64CONST(1) << r)))
			return true;
	return false;
}

/* soft checks change nothing, hard ones all that they do together */
static void
count_check(Trial *trial, int i, uint64 failed, const MlDecided *own, const MlDecided *checked, bool number)
{
	Sums	   *sums = &trial->check[i];

	sums->rows++;
	if (failed & (UINT64CONST(1) << i))
		count_change(sums, own, trial->program->check[i].severity == ML_SEVERITY_HARD ? checked : own, number);
}

static void
count_all(Trial *trial, const MlAnswer *answer, const MlDecided *own, bool number)
{
	MlFired		fired = ml_score_fired(&trial->scorer);
	Sums	   *sums = &trial->all;

	sums->rows++;
	sums->fired += answer->failed != 0 || fired.rules != 0;
	sums->errors += fired.errors != 0;
	count_values(sums, known(own->output), known(answer->decided.output), number);
	sums->labels += !same_text(decided_label(own), decided_label(&answer->decided));
}

static void
try_row(Trial *trial, Datum record)
{
	MlScorer   *scorer = &trial->scorer;
	MlRuleProgram *program = trial->program;
	MlScoreInput input = {.record = record};
	bool		number = scorer->model->recipe->target.task != ML_TASK_MULTICLASS;
	MlAnswer	answer;
	MlDecided	own;
	MlDecided	checked;
	uint64		fired;

	ml_score_answer(scorer, &input, ML_RESULT_ANY, &answer);
	if (!answer.is_row)
		return;
	fired = ml_score_fired(scorer).rules;
	ml_score_undecided(scorer, answer.output, &own);
	count_all(trial, &answer, &own, number);
	checked = own;
	if (answer.barred)
		ml_score_barred(scorer, &input, ML_RESULT_ANY, &checked);
	for (int i = 0; i < program->nchecks; i++)
		count_check(trial, i, answer.failed, &own, &checked, number);
	for (int i = 0; answer.ruled && i < program->nrules && !is_stopped(trial, fired, i); i++)
		count_rule(trial, i, &input, &checked, number);
}

/* ---- the source ---- */

static void
try_rows(Trial *trial, const char *source)
{
	ErrorContextCallback callback;
	int			level = NewGUCNestLevel();
	Portal		portal;
	uint64		n;

	/* a function in it that writes fails; the level is rolled back, as in frame.c */
	(void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	callback.callback = ml_source_error_callback;
	callback.arg = (void *) source;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	portal = SPI_cursor_open_with_args(NULL, source, 0, NULL, NULL, NULL, true, 0);
	error_context_stack = callback.previous;
	do
	{
		SPI_cursor_fetch(portal, true, FETCH);
		n = SPI_processed;
		BlessTupleDesc(SPI_tuptable->tupdesc);
		for (uint64 i = 0; i < n; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(trial->row_cxt);

			CHECK_FOR_INTERRUPTS();
			try_row(trial, heap_copy_tuple_as_datum(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
			MemoryContextSwitchTo(old);
			MemoryContextReset(trial->row_cxt);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (n == FETCH);
	SPI_cursor_close(portal);
	AtEOXact_GUC(false, level);
}

/* ---- the result ---- */

static void
add_result(MlRows *rows, const char *rule, const Sums *sums)
{
	Datum		value[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {false};

	ml_rows_text(value, isnull, 0, rule);
	value[1] = Int64GetDatum(sums->rows);
	value[2] = Int64GetDatum(sums->fired);
	value[3] = Int64GetDatum(sums->errors);
	ml_rows_number(value, isnull, 4, sums->nbefore > 0 ? sums->before / sums->nbefore : NAN);
	ml_rows_number(value, isnull, 5, sums->nafter > 0 ? sums->after / sums->nafter : NAN);
	value[6] = Int64GetDatum(sums->suppressed);
	value[7] = Int64GetDatum(sums->labels);
	ml_rows_add(rows, value, isnull);
}

static Datum
check(FunctionCallInfo fcinfo, char *model, int version, const MlModel *version_model, MlRuleProgram *program, const char *source)
{
	static const uint8 no_checksum[ML_SHA256_LENGTH] = {0};
	Trial		trial = {.program = program};
	MlScorer   *scorer = &trial.scorer;
	MlRows		rows;

	strlcpy(scorer->resolved.model, model, NAMEDATALEN);
	scorer->resolved.version = version;
	scorer->resolved.threshold = ml_rules_threshold(model, version);
	scorer->cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops predict model", ALLOCSET_DEFAULT_SIZES);
	ml_score_prepare(scorer, version_model, ML_RESULT_ANY);
	ml_score_set_rules(scorer, program, no_checksum,
					   AllocSetContextCreate(scorer->cxt, "mlops predict rules", ALLOCSET_SMALL_SIZES));
	trial.rule = palloc0(sizeof(Sums) * Max(program->nrules, 1));
	trial.check = palloc0(sizeof(Sums) * Max(program->nchecks, 1));
	trial.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops score row", ALLOCSET_DEFAULT_SIZES);
	ml_rows_begin(fcinfo, &rows);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	try_rows(&trial, source);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	for (int i = 0; i < program->nchecks; i++)
		if (!ml_check_is_share(program->check[i].kind))
			add_result(&rows, psprintf("(check %s)", program->check[i].name), &trial.check[i]);
	for (int i = 0; i < program->nrules; i++)
		add_result(&rows, program->rule[i].name, &trial.rule[i]);
	add_result(&rows, ALL, &trial.all);
	return (Datum) 0;
}

static Datum
check_new(FunctionCallInfo fcinfo, char *model, Jsonb *rules, const char *source)
{
	Jsonb	   *checks = PG_ARGISNULL(ARG_CHECKS) ? NULL : PG_GETARG_JSONB_P(ARG_CHECKS);
	MlRuleProgram *program;
	const MlModel *version_model;
	bytea	   *bytes;
	int			version;

	version_model = ml_rules_model(model, &version);
	program = ml_rules_read(rules, checks, version_model, &bytes);
	return check(fcinfo, model, version, version_model, program, source);
}

static Datum
check_stored(FunctionCallInfo fcinfo, char *model, int number, const char *source)
{
	MlStoredRules stored;
	MlRuleProgram *program;
	const MlModel *version_model;
	int			version;

	if (!ml_registry_find_rules(model, number, &stored))
		ml_error_no_rules(model, number, ml_rules_numbers(model));
	version_model = ml_rules_model(model, &version);
	program = ml_rules_load(VARDATA_ANY(stored.program), VARSIZE_ANY_EXHDR(stored.program));
	ml_rule_check_model(program, number, version_model, model, version);
	return check(fcinfo, model, version, version_model, program, source);
}

/* mlops_check_rules(model text, rules jsonb, source text, checks jsonb) */
Datum
mlops_check_rules(PG_FUNCTION_ARGS)
{
	char	   *source;
	char	   *model = ml_rules_check_arguments(fcinfo, &source);

	return check_new(fcinfo, model, PG_GETARG_JSONB_P(1), source);
}

/* mlops_check_rules(model text, rules text, source text, checks jsonb): a literal without type is text */
Datum
mlops_check_rules_text(PG_FUNCTION_ARGS)
{
	char	   *source;
	char	   *model = ml_rules_check_arguments(fcinfo, &source);
	Jsonb	   *rules = ml_json_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)), "Rules are a JSON array, as mlops_create_rules takes it, or the number of a rule set.");

	return check_new(fcinfo, model, rules, source);
}

/* mlops_check_rules(model text, rules int, source text) */
Datum
mlops_check_rules_number(PG_FUNCTION_ARGS)
{
	char	   *source;
	char	   *model = ml_rules_check_arguments(fcinfo, &source);

	return check_stored(fcinfo, model, PG_GETARG_INT32(1), source);
}
