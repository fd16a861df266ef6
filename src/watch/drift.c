/*
 * drift.c
 *		mlops_drift: do the rows that come now look like those that the model was
 *		trained on, and does it matter where they do not?
 *
 * A column is compared with the stored profile of the version's training rows, or
 * with a query that stands for them. What a difference is worth follows from how much the
 * model looks at the column: its share of mlops_importance(), or an equal share where
 * the model's kind has none.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "drift/compare.h"
#include "drift/prediction.h"
#include "lib/stringinfo.h"
#include "log/log.h"
#include "registry/profile_row.h"
#include "registry/registry_catalog.h"
#include "result.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "watch/drift.h"

#define NAMES_SHOWN 10			/* in the line of the whole */

PG_FUNCTION_INFO_V1(mlops_drift);

enum
{
	ARG_MODEL, ARG_SOURCE, ARG_REFERENCE, ARG_PERIOD, ARG_MIN_EFFECT, ARG_MIN_IMPACT, ARG_MIN_ROWS, ARG_AS_OF
};

enum
{
	OUT_ROLE, OUT_FEATURE, OUT_KIND, OUT_ROWS, OUT_REFERENCE_ROWS, OUT_MISSING, OUT_REFERENCE_MISSING, OUT_UNSEEN,
	OUT_MEAN, OUT_REFERENCE_MEAN, OUT_PSI, OUT_KS, OUT_TVD, OUT_WASSERSTEIN, OUT_JS, OUT_CHI_SQUARE, OUT_DF,
	OUT_P_VALUE, OUT_P_ADJUSTED, OUT_IMPORTANCE, OUT_IMPACT, OUT_VERDICT, OUT_MATTERS, OUT_REASON, OUT_COLUMNS
};

/* a column, then and now */
typedef struct Line
{
	MlProfileRole role;
	const char *name;
	MlKind		kind;
	bool		compared;
	MlDistance	distance;
	MlJudgement judgement;
	double		importance;		/* share; NaN: not known */
	double		impact;			/* NaN: not known */
	bool		matters;
} Line;

typedef struct Drift
{
	MlResolved	resolved;
	const MlModel *model;
	char	   *reference;		/* a query; NULL: the stored profile */
	MlDriftRule rule;
	double		min_impact;
	MlBudget	budget;
	List	   *profile;		/* of the training rows; NIL with a reference */
	List	   *counted;		/* of calls, where they are compared with these rows */
	MlDriftRows then;			/* with one */
	MlDriftRows now;
	Line	   *line;
	MemoryContext pair_cxt;		/* of two profiles that are compared */
} Drift;

/* ---- how much a model looks at a feature ---- */

/* shares that sum to 1; false: they are not known, and equal */
static bool
share_importance(const Drift *drift, double *share)
{
	const MlModel *model = drift->model;
	int			n = drift->now.recipe->nfeatures;
	bool		known = model->encoder == NULL && ml_model_importance(model, share);
	double		total = 0;

	for (int i = 0; known && i < n; i++)
		total += share[i];
	for (int i = 0; i < n; i++)
		share[i] = known && total > 0 ? share[i] / total : 1.0 / n;
	return known && total > 0;
}

/* ---- comparing ---- */

/* of the training rows, or what stands for them; NULL: nothing is known of the column then */
static const MlProfile *
profile_then(Drift *drift, int column)
{
	const MlDriftRows *rows = &drift->now;

	if (drift->reference == NULL)
		return ml_profile_find(drift->profile, ml_drift_rows_role(rows, column), ml_drift_rows_name(rows, column));
	if (drift->then.kind[column] == ML_KIND_NONE)
		return NULL;
	return ml_collector_profile(drift->then.collector, column);
}

static bool
is_comparable(const MlProfile *then, const MlProfile *now)
{
	return (then->kind == ML_KIND_CATEGORY) == (now->kind == ML_KIND_CATEGORY);
}

static void
compare(Drift *drift, Line *line, const MlProfile *then, const MlProfile *now)
{
	MemoryContext old;

	line->compared = true;
	line->kind = then->kind;
	ml_drift_compare(then, now, &line->distance);
	old = MemoryContextSwitchTo(GetMemoryChunkContext(drift->line));
	ml_drift_find_fault(then, now, &line->distance, &drift->rule, &line->judgement);
	MemoryContextSwitchTo(old);
}

/* where too little was logged, what was counted; numbers are then compared by their bins */
static void
prefer_counts(const Drift *drift, int column, const MlProfile **then, const MlProfile **now)
{
	const MlDriftRows *rows = &drift->now;
	const MlProfile *counted = ml_profile_find(drift->counted, ml_drift_rows_role(rows, column), ml_drift_rows_name(rows, column));
	MlProfile  *binned;

	if (counted == NULL || *then == NULL || (*now != NULL && (*now)->rows >= Min(drift->rule.min_rows, counted->rows)))
		return;
	*now = counted;
	if (counted->kind == ML_KIND_CATEGORY)
		return;
	binned = palloc(sizeof(MlProfile));
	*binned = **then;
	ml_profile_of_bins(&binned->number);
	*then = binned;
}

static void
compare_column(Drift *drift, int column)
{
	MemoryContext old = MemoryContextSwitchTo(drift->pair_cxt);
	const MlProfile *then = profile_then(drift, column);
	const MlProfile *now = drift->now.kind[column] == ML_KIND_NONE ? NULL : ml_collector_profile(drift->now.collector, column);

	prefer_counts(drift, column, &then, &now);
	if (then != NULL && now != NULL && is_comparable(then, now))
		compare(drift, &drift->line[column], then, now);
	MemoryContextSwitchTo(old);
	MemoryContextReset(drift->pair_cxt);
}

/* what a fault that nobody need compare says */
static void
judge_missing(Drift *drift, int column)
{
	Line	   *line = &drift->line[column];
	char	   *problem = drift->now.problem[column];

	line->judgement.verdict = problem != NULL ? ML_VERDICT_BROKEN : ML_VERDICT_UNKNOWN;
	line->judgement.reason = problem != NULL ? problem :
		drift->now.kind[column] == ML_KIND_NONE ? NULL : "nothing is known of it then, or it was of another kind";
}

static void
weigh(const Drift *drift, Line *line, double share)
{
	bool		broken = line->judgement.verdict == ML_VERDICT_BROKEN;
	double		effect = broken ? 1 : line->distance.effect;

	line->impact = !line->compared && !broken ? NAN : share * effect;
	line->matters = line->judgement.verdict >= ML_VERDICT_SHIFTED && line->impact >= drift->min_impact;
}

static void
compare_all(Drift *drift)
{
	MlDriftRows *rows = &drift->now;
	int			nfeatures = rows->recipe->nfeatures;
	double	   *p = palloc(sizeof(double) * rows->ncolumns);
	double	   *adjusted = palloc(sizeof(double) * rows->ncolumns);
	double	   *share = palloc(sizeof(double) * Max(nfeatures, 1));
	bool		known = share_importance(drift, share);

	drift->line = palloc0(sizeof(Line) * rows->ncolumns);
	for (int i = 0; i < rows->ncolumns; i++)
	{
		CHECK_FOR_INTERRUPTS();
		drift->line[i] = (Line) {.role = ml_drift_rows_role(rows, i), .name = ml_drift_rows_name(rows, i), .importance = NAN};
		drift->line[i].kind = i < nfeatures ? rows->recipe->features[i].kind : rows->kind[i];
		compare_column(drift, i);
		p[i] = drift->line[i].compared ? drift->line[i].distance.p_value : NAN;
	}
	ml_drift_adjust(p, rows->ncolumns, adjusted);
	for (int i = 0; i < rows->ncolumns; i++)
	{
		drift->line[i].judgement.p_adjusted = adjusted[i];
		if (drift->line[i].compared)
			ml_drift_judge(drift->line[i].kind, &drift->line[i].distance, &drift->rule, &drift->line[i].judgement);
		else
			judge_missing(drift, i);
		if (i < nfeatures && known)
			drift->line[i].importance = share[i];
		weigh(drift, &drift->line[i], i < nfeatures ? share[i] : 1);
	}
}

/* ---- the result ---- */

static const char *const role_name[] = {
	[ML_PROFILE_FEATURE] = "feature", [ML_PROFILE_TARGET] = "target", [ML_PROFILE_PREDICTION] = "prediction"
};

static const char *const verdict_name[] = {
	[ML_VERDICT_OK] = "ok", [ML_VERDICT_UNKNOWN] = "unknown", [ML_VERDICT_SHIFTED] = "shifted", [ML_VERDICT_BROKEN] = "broken"
};

static const char *const kind_name[] = {
	[ML_KIND_NUMBER] = "number", [ML_KIND_CATEGORY] = "category", [ML_KIND_TIME] = "time", [ML_KIND_ARRAY] = "array"
};

static void
put_distance(Datum *value, bool *isnull, const MlDistance *distance, bool category)
{
	value[OUT_ROWS] = Int64GetDatum(distance->rows);
	value[OUT_REFERENCE_ROWS] = Int64GetDatum(distance->rows_reference);
	ml_rows_number(value, isnull, OUT_MISSING, distance->missing);
	ml_rows_number(value, isnull, OUT_REFERENCE_MISSING, distance->missing_reference);
	ml_rows_number(value, isnull, OUT_UNSEEN, distance->unseen);
	ml_rows_number(value, isnull, OUT_MEAN, distance->mean);
	ml_rows_number(value, isnull, OUT_REFERENCE_MEAN, distance->mean_reference);
	ml_rows_number(value, isnull, OUT_PSI, distance->psi);
	ml_rows_number(value, isnull, OUT_KS, category ? NAN : distance->effect);
	ml_rows_number(value, isnull, OUT_TVD, category ? distance->effect : NAN);
	ml_rows_number(value, isnull, OUT_WASSERSTEIN, distance->wasserstein);
	ml_rows_number(value, isnull, OUT_JS, distance->js);
	ml_rows_number(value, isnull, OUT_CHI_SQUARE, distance->chi_square);
	value[OUT_DF] = Int32GetDatum(distance->df);
	isnull[OUT_DF] = isnan(distance->chi_square);
	ml_rows_number(value, isnull, OUT_P_VALUE, distance->p_value);
}

static void
put_line(const Line *line, MlRows *result)
{
	Datum		value[OUT_COLUMNS];
	bool		isnull[OUT_COLUMNS];

	memset(isnull, true, sizeof(isnull));
	ml_rows_text(value, isnull, OUT_ROLE, role_name[line->role]);
	ml_rows_text(value, isnull, OUT_FEATURE, line->name);
	ml_rows_text(value, isnull, OUT_KIND, kind_name[line->kind]);
	if (line->compared)
	{
		memset(isnull + OUT_ROWS, false, OUT_COLUMNS - OUT_ROWS);
		put_distance(value, isnull, &line->distance, line->kind == ML_KIND_CATEGORY);
	}
	ml_rows_number(value, isnull, OUT_P_ADJUSTED, line->judgement.p_adjusted);
	ml_rows_number(value, isnull, OUT_IMPORTANCE, line->importance);
	ml_rows_number(value, isnull, OUT_IMPACT, line->impact);
	ml_rows_text(value, isnull, OUT_VERDICT, verdict_name[line->judgement.verdict]);
	value[OUT_MATTERS] = BoolGetDatum(line->matters);
	isnull[OUT_MATTERS] = false;
	ml_rows_text(value, isnull, OUT_REASON, line->judgement.reason);
	ml_rows_add(result, value, isnull);
}

/* "broken: a, b" */
static void
append_names(StringInfo words, const Drift *drift, MlVerdict verdict)
{
	int			n = 0;

	for (int i = 0; i < drift->now.ncolumns; i++)
	{
		const Line *line = &drift->line[i];

		if (line->judgement.verdict != verdict || !line->matters)
			continue;
		if (n++ == 0)
			appendStringInfo(words, "%s%s: ", words->len > 0 ? "; " : "", verdict_name[verdict]);
		if (n <= NAMES_SHOWN)
			appendStringInfo(words, "%s%s", n > 1 ? ", " : "", line->name);
	}
	if (n > NAMES_SHOWN)
		appendStringInfo(words, " and %d more", n - NAMES_SHOWN);
}

/* how much of what the model looks at has changed, and the worst that matters */
static void
put_whole(const Drift *drift, MlRows *result)
{
	Datum		value[OUT_COLUMNS];
	bool		isnull[OUT_COLUMNS];
	StringInfoData words;
	MlVerdict	worst = ML_VERDICT_UNKNOWN;
	double		impact = 0;
	int64		n = 0;

	initStringInfo(&words);
	for (int i = 0; i < drift->now.ncolumns; i++)
	{
		const Line *line = &drift->line[i];
		MlVerdict	verdict = line->judgement.verdict;

		if (line->role == ML_PROFILE_FEATURE && verdict >= ML_VERDICT_SHIFTED)
			impact += line->impact;
		if (line->role != ML_PROFILE_TARGET)
			n = Max(n, line->distance.rows);	/* outcomes are no calls */
		if (line->matters)
			worst = Max(worst, verdict);
		else if (verdict != ML_VERDICT_UNKNOWN && worst == ML_VERDICT_UNKNOWN)
			worst = ML_VERDICT_OK;
	}
	append_names(&words, drift, ML_VERDICT_BROKEN);
	append_names(&words, drift, ML_VERDICT_SHIFTED);
	memset(isnull, true, sizeof(isnull));
	ml_rows_text(value, isnull, OUT_ROLE, "all");
	value[OUT_ROWS] = Int64GetDatum(n);
	value[OUT_MATTERS] = BoolGetDatum(worst >= ML_VERDICT_SHIFTED);
	isnull[OUT_ROWS] = isnull[OUT_MATTERS] = false;
	ml_rows_number(value, isnull, OUT_IMPACT, impact);
	ml_rows_text(value, isnull, OUT_VERDICT, verdict_name[worst]);
	ml_rows_text(value, isnull, OUT_REASON, words.len > 0 ? words.data : NULL);
	ml_rows_add(result, value, isnull);
}

static int
compare_lines(const void *a, const void *b)
{
	const Line *left = a;
	const Line *right = b;
	double		first = isnan(left->impact) ? -1 : left->impact;
	double		second = isnan(right->impact) ? -1 : right->impact;

	if (first != second)
		return first > second ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* the whole, the prediction, the target, then features by what they are worth */
static void
put_result(Drift *drift, MlRows *result)
{
	const MlDriftRows *rows = &drift->now;
	int			prediction = ML_DRIFT_PREDICTION(rows);
	int			target = ML_DRIFT_TARGET(rows);

	put_whole(drift, result);
	if (drift->line[prediction].kind != ML_KIND_NONE)
		put_line(&drift->line[prediction], result);
	if (drift->line[target].kind != ML_KIND_NONE)
		put_line(&drift->line[target], result);
	qsort(drift->line, rows->recipe->nfeatures, sizeof(Line), compare_lines);
	for (int i = 0; i < rows->recipe->nfeatures; i++)
		put_line(&drift->line[i], result);
}

/* ---- the call ---- */

static void
take_reference(Drift *drift)
{
	if (drift->reference != NULL)
	{
		ml_drift_rows_begin(&drift->then, drift->model, &drift->budget);
		ml_drift_take_query(&drift->then, drift->reference);
		return;
	}
	drift->profile = ml_registry_profile(drift->resolved.model, drift->resolved.version);
	if (drift->profile == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("what version %d of model \"%s\" was trained on is not known",
						drift->resolved.version, drift->resolved.model),
				 errdetail("A training keeps a profile of its rows; an imported version has none."),
				 errhint("Name rows to compare with: reference => 'SELECT ...'.")));
}

/* what the target is, where it comes as text */
static MlKind
target_kind(const Drift *drift)
{
	const MlTarget *target = &drift->model->recipe->target;
	const MlProfile *then = target->name ? ml_profile_find(drift->profile, ML_PROFILE_TARGET, target->name) : NULL;

	if (target->name == NULL)
		return ML_KIND_NONE;
	if (then != NULL)
		return then->kind;
	if (drift->reference != NULL && drift->then.kind[ML_DRIFT_TARGET(&drift->then)] != ML_KIND_NONE)
		return drift->then.kind[ML_DRIFT_TARGET(&drift->then)];
	return target->task == ML_TASK_REGRESSION ? ML_KIND_NUMBER : ML_KIND_CATEGORY;
}

static void
take_rows(Drift *drift, const char *source, int64 period, TimestampTz as_of)
{
	ml_drift_rows_begin(&drift->now, drift->model, &drift->budget);
	if (source != NULL)
	{
		ml_drift_take_query(&drift->now, source);
		return;
	}
	ml_drift_take_log(&drift->now, &drift->resolved, as_of - period, as_of, target_kind(drift));
	if (drift->reference == NULL)
		drift->counted = ml_drift_counts(&drift->resolved, as_of - period, as_of);
}

static double
share_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	double		value;

	ml_require_argument(fcinfo, i, name);
	value = PG_GETARG_FLOAT8(i);
	if (!(value >= 0 && value <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" of mlops_drift must be from 0 to 1, not %g", name, value),
				 errdetail("Effects and impacts are from 0 to 1."),
				 errhint("Leave it out for the default.")));
	return value;
}

static void
take_arguments(FunctionCallInfo fcinfo, Drift *drift, int64 *period, TimestampTz *as_of)
{
	ml_require_argument(fcinfo, ARG_PERIOD, "period");
	ml_require_argument(fcinfo, ARG_MIN_ROWS, "min_rows");
	ml_require_argument(fcinfo, ARG_AS_OF, "as_of");
	drift->rule.min_effect = share_argument(fcinfo, ARG_MIN_EFFECT, "min_effect");
	drift->min_impact = share_argument(fcinfo, ARG_MIN_IMPACT, "min_impact");
	drift->rule.min_rows = PG_GETARG_INT32(ARG_MIN_ROWS);
	drift->reference = ml_argument_text(fcinfo, ARG_REFERENCE);
	*period = ml_watch_interval(PG_GETARG_INTERVAL_P(ARG_PERIOD));
	*as_of = PG_GETARG_TIMESTAMPTZ(ARG_AS_OF);
	if (*period <= 0 || TIMESTAMP_NOT_FINITE(*as_of) || *as_of < MIN_TIMESTAMP / 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments \"period\" and \"as_of\" of mlops_drift make no stretch of time"),
				 errdetail("Logged calls of the time from as_of - period until as_of are looked at."),
				 errhint("Give a length as in interval '7 days', and a finite time.")));
	if (drift->rule.min_rows < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"min_rows\" of mlops_drift must be at least 1, not %d", PG_GETARG_INT32(ARG_MIN_ROWS)),
				 errdetail("With fewer rows than that nothing is said of a column."),
				 errhint("Leave it out for the default.")));
}

/* mlops_drift(model, source, reference, period, min_effect, min_impact, min_rows, as_of) */
Datum
mlops_drift(PG_FUNCTION_ARGS)
{
	Drift		drift = {0};
	MlReference reference;
	MlRows		result;
	char	   *model;
	int64		period;
	TimestampTz as_of;

	ml_require_argument(fcinfo, ARG_MODEL, "model");
	model = ml_argument_text(fcinfo, ARG_MODEL);
	take_arguments(fcinfo, &drift, &period, &as_of);
	ml_reference_parse(model, strlen(model), &reference);
	drift.model = ml_registry_model(&reference, ML_PRIVILEGE_READ, CurrentMemoryContext, &drift.resolved);
	ml_budget_begin(&drift.budget);
	drift.pair_cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops drift", ALLOCSET_DEFAULT_SIZES);
	take_reference(&drift);
	take_rows(&drift, ml_argument_text(fcinfo, ARG_SOURCE), period, as_of);
	compare_all(&drift);
	ml_rows_begin(fcinfo, &result);
	put_result(&drift, &result);
	return (Datum) 0;
}
