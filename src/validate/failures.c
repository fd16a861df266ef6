/*
 * failures.c
 *		mlops_pin_failures: what went wrong becomes a test that every later version takes.
 *
 * Failures that somebody reported come first, then the rows of the newest edition that the
 * active version gets most wrong: for classes those of the wrong label, the least
 * likely label first; for numbers the largest distance.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "fmgr.h"
#include "interrupts.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "validate/pin.h"
#include "validate/validate.h"

PG_FUNCTION_INFO_V1(mlops_pin_failures);

#define MAX_PINS_AT_ONCE 10000

typedef struct Wrong
{
	double		loss;
	int64		row;
} Wrong;

static int
compare_wrong(const void *a, const void *b)
{
	const Wrong *x = a;
	const Wrong *y = b;

	if (x->loss != y->loss)
		return x->loss > y->loss ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

typedef struct Reading
{
	const MlSetColumn *column;
	const char *text;
} Reading;

static void
read_value(void *arg)
{
	const Reading *reading = arg;
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(reading->column->stored_type, &input, &parameter);
	(void) OidInputFunctionCall(input, unconstify(char *, reading->text), parameter, reading->column->stored_typmod);
}

bool
ml_is_value(const MlSetColumn *column, const char *text)
{
	Reading		reading = {column, text};
	ErrorData  *error = ml_attempt(read_value, &reading);

	if (error != NULL)
		FreeErrorData(error);
	return error == NULL;
}

/* anybody who may predict can report anything: what cannot be is told and left out */
static int
leave_out_impossible(const MlSet *set, MlPin *pins, int n)
{
	int			possible = 0;

	for (int i = 0; i < n; i++)
	{
		bool		key = ml_is_value(&set->column[set->key_at], pins[i].key);
		bool		label = pins[i].label == NULL || set->target_at < 0 ||
			ml_is_value(&set->column[set->target_at], pins[i].label);

		if (key && label)
			pins[possible++] = pins[i];
		else
			ereport(NOTICE,
					(errmsg("the reported failure of key %s was left out: %s %s is no value of column \"%s\"",
							quote_literal_cstr(pins[i].key), key ? "label" : "key",
							quote_literal_cstr(key ? pins[i].label : pins[i].key), key ? set->target : set->key)));
	}
	memset(pins + possible, 0, sizeof(MlPin) * (n - possible));
	return possible;
}

/* failures that were reported and are not pinned yet, the oldest first, but for as many as were read already */
static int
read_reported(const MlSet *set, int64 already, MlPin *pins, int most)
{
	static MlStatement select = {
		"SELECT f.key, f.correct_label, COALESCE(f.note, 'reported by ' OPERATOR(pg_catalog.||) f.annotator) "
		"FROM mlops_catalog.failure AS f WHERE f.model OPERATOR(pg_catalog.=) $1 AND NOT EXISTS "
		"(SELECT 1 FROM mlops_catalog.pin AS p WHERE p.model OPERATOR(pg_catalog.=) $1 "
		"AND p.validation_set OPERATOR(pg_catalog.=) $2 AND p.key OPERATOR(pg_catalog.=) f.key) "
		"ORDER BY f.reported_at, f.key LIMIT $3 OFFSET $4"
	};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext inside;
	MlArguments args = {0};
	MlRegistryScope scope;
	int			n;

	ml_bind_text(&args, set->model);
	ml_bind_text(&args, set->name);
	ml_bind_int8(&args, most);
	ml_bind_int8(&args, already);
	ml_registry_enter(&scope);
	n = (int) ml_statement_run(&select, &args);
	inside = MemoryContextSwitchTo(caller);
	for (int i = 0; i < n; i++)
	{
		pins[i].key = ml_result_text(i, 1);
		pins[i].label = ml_result_text(i, 2);
		pins[i].reason = ml_result_text(i, 3);
	}
	MemoryContextSwitchTo(inside);
	ml_registry_leave(&scope);
	return n;
}

/* so that impossible reports, however many, keep no other out */
static int
take_reported(const MlSet *set, MlPin *pins, int most)
{
	int64		already = 0;
	int			taken = 0;
	int			n;

	do
	{
		CHECK_FOR_INTERRUPTS();
		n = read_reported(set, already, pins + taken, most - taken);
		already += n;
		taken += leave_out_impossible(set, pins + taken, n);
	} while (n > 0 && taken < most);
	return taken;
}

/* what a row loses; NaN: it is not wrong, or cannot be said */
static double
loss_of(const MlScored *scored, int64 row)
{
	const MlTarget *target = &scored->model->recipe->target;
	const double *output = scored->output + row * scored->model->noutputs;
	double		label = scored->label[row];

	if (isnan(label) || isnan(output[0]))
		return NAN;
	if (target->task == ML_TASK_REGRESSION)
		return fabs(output[0] - label);
	if (target->task == ML_TASK_BINARY)
	{
		bool		positive = label > 0.5;	/* labels are 1 for the positive class, wherever it stands in order */

		if ((output[0] >= scored->resolved.threshold) == positive)
			return NAN;
		return positive ? 1 - output[0] : output[0];
	}
	if (ml_model_class(scored->model, output, scored->resolved.threshold) == (int) label)
		return NAN;
	return 1 - output[(int) label];
}

static bool
is_active(const char *model)
{
	static MlStatement select = {
		"SELECT 1 FROM mlops_catalog.serving WHERE model OPERATOR(pg_catalog.=) $1 AND version IS NOT NULL"
	};
	MlArguments args = {0};

	ml_bind_text(&args, model);
	return ml_registry_run(&select, &args) > 0;
}

/* rows of the newest edition and what the active version says of them */
static void
score_edition(const MlSet *set, MlScored *scored, MlBudget *budget)
{
	MlReference reference;
	MlFrameRequest request = {0};
	MlEdition	edition;
	MlKeys		keys;

	ml_reference_parse(set->model, strlen(set->model), &reference);
	scored->model = ml_registry_model(&reference, ML_PRIVILEGE_READ, CurrentMemoryContext, &scored->resolved);
	ml_edition_open(set->model, set->name, 0, &edition);
	if (scored->model->noutputs == 0 || scored->model->recipe->target.task & ML_TASKS_UNSUPERVISED || edition.target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no labels that it could get wrong", set->model),
				 errdetail("Version %d, or the set, has no target to compare predictions with.", scored->resolved.version),
				 errhint("Report failures with mlops_record_failure, or pin rows with mlops_pin.")));
	ml_scored_features(scored->model, &request);
	request.target = edition.target;
	ml_keys_begin(&keys, set->key, budget);
	request.tee = ml_keys_tee;
	request.tee_arg = &keys;
	scored->frame = ml_edition_read(&edition, &request, budget);
	scored->frame->cols[scored->frame->target_column].name = scored->model->recipe->target.name;
	scored->n = scored->frame->nrows;
	scored->key = keys.key;
	scored->label = palloc_extended(ml_size_mul(Max(scored->n, 1), sizeof(double)), MCXT_ALLOC_HUGE);
	ml_recipe_labels(scored->model->recipe, scored->frame, 0, scored->n, scored->label);
	scored->output = ml_scored_outputs(scored->model, scored->frame, budget);
}

static bool
is_among(const MlPin *pins, int n, const char *key)
{
	for (int i = 0; i < n; i++)
		if (strcmp(pins[i].key, key) == 0)
			return true;
	return false;
}

static int
take_worst(const MlSet *set, MlPin *pins, int n, int most, const char *reason)
{
	MlScored	scored = {0};
	MlBudget	budget;
	Wrong	   *wrong;
	int64		nwrong = 0;

	ml_budget_begin(&budget);
	score_edition(set, &scored, &budget);
	wrong = palloc_extended(ml_size_mul(Max(scored.n, 1), sizeof(Wrong)), MCXT_ALLOC_HUGE);
	for (int64 i = 0; i < scored.n; i++)
	{
		double		loss = loss_of(&scored, i);

		ml_check_row(i);
		if (isnan(loss) || scored.key[i] == NULL)
			continue;
		wrong[nwrong].loss = loss;
		wrong[nwrong++].row = i;
	}
	qsort(wrong, nwrong, sizeof(Wrong), compare_wrong);
	for (int64 i = 0; i < nwrong && n < most; i++)
	{
		char	   *key = scored.key[wrong[i].row];

		if (is_among(pins, n, key) || !ml_pin_is_new(set, key))
			continue;
		pins[n].key = key;
		pins[n++].reason = reason ? pstrdup(reason) :
			psprintf("version %d got it wrong", scored.resolved.version);
	}
	return n;
}

/* mlops_pin_failures(model, validation_set, max_rows, reason): rows pinned */
Datum
mlops_pin_failures(PG_FUNCTION_ARGS)
{
	char	   *model;
	char	   *reason;
	MlSet	   *set;
	MlPin	   *pins;
	MlChange	change;
	int			most;
	int			n;

	ml_require_argument(fcinfo, 0, "model");
	ml_require_argument(fcinfo, 2, "max_rows");
	model = text_to_cstring(PG_GETARG_TEXT_PP(0));
	most = PG_GETARG_INT32(2);
	reason = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	if (most < 1 || most > MAX_PINS_AT_ONCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max_rows\" is %d", most),
				 errdetail("It must be from 1 to %d.", MAX_PINS_AT_ONCE),
				 errhint("The default is 20.")));
	ml_registry_require_writable("pin rows");
	ml_privilege_require(model, ML_PRIVILEGE_TRAIN);
	set = ml_set_open(model, PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)), true);
	if (set->edition == 0)
		ml_error_no_edition(set, 0);
	pins = palloc0(sizeof(MlPin) * most);
	n = take_reported(set, pins, most);
	if (n < most && is_active(model))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		n = take_worst(set, pins, n, most, reason);
		PopActiveSnapshot();
	}
	if (n == 0)
		PG_RETURN_INT64(0);
	ml_pin_rows(set, pins, n, false, &change);
	PG_RETURN_INT64(change.nentering);
}
