/*
 * propose_checks.c
 *		mlops_propose_checks: checks that the rows a version was trained on
 *		suggest, to be read, changed and given to mlops_create_rules.
 *
 * They rest on the profile of the training rows; of a version that has none,
 * as one that was imported, on what its recipe knows. What would fail a row of
 * the kind that the version knows is proposed as soft, what has no answer at
 * all as hard; shares are for those who watch.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "json.h"
#include "mb/pg_wchar.h"
#include "registry/profile_row.h"
#include "registry/registry_catalog.h"
#include "rule/rule.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_propose_checks);

#define MARGIN			0.1		/* of the range, on either side */
#define FENCE			10.0	/* spreads beyond which a training value does not widen the range */
#define SHARE_SLACK		0.05	/* least distance of a share's bound from the share in training */
#define MAX_SINGLE		40		/* checks of one column each, of a kind; more columns share one */

typedef struct Proposal
{
	MlJson		json;
	const MlRecipe *recipe;
	List	   *profiles;
	int64		rows;			/* that the version was trained on */
} Proposal;

typedef struct Bounds
{
	double		low;
	double		high;
	char	   *reason;
} Bounds;

/* ---- what is known of a column ---- */

static const MlProfile *
profile_of(const Proposal *proposal, const MlFeature *feature)
{
	return ml_profile_find(proposal->profiles, ML_PROFILE_FEATURE, feature->name);
}

/* NaN: not known, as of a category in a profile that has none of it */
static double
missing_share(const Proposal *proposal, const MlFeature *feature)
{
	const MlProfile *profile = profile_of(proposal, feature);

	if (profile != NULL && profile->rows > 0)
		return (double) profile->missing / profile->rows;
	if (feature->kind == ML_KIND_CATEGORY)
		return feature->null_share;
	return feature->nnumbers > 0 ? proposal->recipe->numbers[feature->first_number].null_share : NAN;
}

/* the least and the largest value, and how far values of the bulk lie apart; false: nothing to go by */
static bool
find_range(const Proposal *proposal, const MlFeature *feature, double *minimum, double *maximum, double *spread,
		   double *middle)
{
	const MlProfile *profile = profile_of(proposal, feature);
	const MlNumber *number = &proposal->recipe->numbers[feature->first_number];

	*minimum = number->minimum;
	*maximum = number->maximum;
	*middle = number->mean;
	*spread = 2.6 * number->deviation;	/* between the deciles of a normal distribution */
	for (int k = 1; k < feature->nnumbers; k++)
	{
		*minimum = fmin(*minimum, number[k].minimum);
		*maximum = fmax(*maximum, number[k].maximum);
		*spread = fmax(*spread, 2.6 * number[k].deviation);
	}
	if (feature->kind == ML_KIND_NUMBER && profile != NULL && profile->number.nedges >= 2)
	{
		const double *edge = profile->number.edge;

		*minimum = fmin(*minimum, profile->number.minimum);
		*maximum = fmax(*maximum, profile->number.maximum);
		*spread = edge[profile->number.nedges - 1] - edge[0];
		*middle = (edge[0] + edge[profile->number.nedges - 1]) / 2;
	}
	return isfinite(*minimum) && isfinite(*maximum) && *minimum < *maximum;
}

/* away from the range, to three digits of its width */
static double
round_outward(double value, double width, bool up)
{
	double		step = pow(10, floor(log10(width)) - 2);
	double		rounded = (up ? ceil(value / step) : floor(value / step)) * step;
	char	   *text = psprintf("%.12g", rounded);

	rounded = strtod(text, NULL);
	return isfinite(rounded) ? rounded : value;
}

/*
 * The range in training and a margin. A value beyond FENCE spreads of the deciles
 * does not widen it, so that one slip in the training rows does not let all later
 * ones through. What was never negative need not become so.
 */
static bool
find_bounds(const Proposal *proposal, const MlFeature *feature, Bounds *bounds)
{
	double		minimum;
	double		maximum;
	double		spread;
	double		middle;
	double		low;
	double		high;
	double		width;

	if (!find_range(proposal, feature, &minimum, &maximum, &spread, &middle))
		return false;
	low = spread > 0 ? fmax(minimum, middle - FENCE * spread) : minimum;
	high = spread > 0 ? fmin(maximum, middle + FENCE * spread) : maximum;
	width = high - low;
	if (!(width > 0) || !isfinite(width))
		return false;
	bounds->reason = low > minimum || high < maximum ?
		psprintf("training values go from %.6g to %.6g; those far from all others are not counted", minimum, maximum) :
		psprintf("training values go from %.6g to %.6g; a tenth more on either side", minimum, maximum);
	bounds->low = low >= 0 && low - MARGIN * width < 0 ? 0 : round_outward(low - MARGIN * width, width, false);
	bounds->high = high <= 0 && high + MARGIN * width > 0 ? 0 : round_outward(high + MARGIN * width, width, true);
	return true;
}

/* of a share of training rows, the one that is to be told */
static double
share_bound(double share)
{
	return rint(fmin(1, fmax(2 * share, share + SHARE_SLACK)) * 1000) / 1000;
}

static bool
has_range(const MlFeature *feature)
{
	return feature->kind == ML_KIND_ARRAY ||
		(feature->kind == ML_KIND_NUMBER && strcmp(feature->type_name, "boolean") != 0);
}

/* ---- writing ---- */

static void
begin(Proposal *proposal, const char *name, MlCheckKind kind, MlSeverity severity)
{
	MlJson	   *json = &proposal->json;

	ml_json_begin_object(json);
	ml_json_put_text(json, "name", name);
	ml_json_put_text(json, "check", ml_check_kind_name(kind));
	ml_json_put_text(json, "severity", ml_severity_name(severity));
}

static void
end(Proposal *proposal, const char *reason)
{
	ml_json_put_text(&proposal->json, "reason", reason);
	ml_json_end_object(&proposal->json);
}

/* a name that no other column gives, and that is short enough */
static char *
name_for(const Proposal *proposal, const char *what, const MlFeature *feature)
{
	char	   *name = psprintf("%s %s", feature->name, what);

	return strlen(name) < NAMEDATALEN ? name : psprintf("column %d %s", (int) (feature - proposal->recipe->features) + 1, what);
}

/* ---- the checks ---- */

static void
propose_range(Proposal *proposal, const MlFeature *feature)
{
	Bounds		bounds;

	if (!has_range(feature) || !find_bounds(proposal, feature, &bounds))
		return;
	begin(proposal, name_for(proposal, "in range", feature), ML_CHECK_RANGE, ML_SEVERITY_SOFT);
	ml_json_put_text(&proposal->json, "column", feature->name);
	ml_json_put_float(&proposal->json, "low", bounds.low);
	ml_json_put_float(&proposal->json, "high", bounds.high);
	end(proposal, bounds.reason);
}

static void
put_pair(MlJson *json, const char *column, const Bounds *bounds)
{
	ml_json_key(json, column);
	ml_json_begin_array(json);
	ml_json_float(json, bounds->low);
	ml_json_float(json, bounds->high);
	ml_json_end_array(json);
}

static void
propose_ranges(Proposal *proposal, int n)
{
	const MlRecipe *recipe = proposal->recipe;
	Bounds		bounds;

	for (int f = 0; n <= MAX_SINGLE && f < recipe->nfeatures; f++)
		propose_range(proposal, &recipe->features[f]);
	if (n <= MAX_SINGLE)
		return;
	begin(proposal, "numbers in range", ML_CHECK_RANGE, ML_SEVERITY_SOFT);
	ml_json_key(&proposal->json, "bounds");
	ml_json_begin_object(&proposal->json);
	for (int f = 0; f < recipe->nfeatures; f++)
		if (has_range(&recipe->features[f]) && find_bounds(proposal, &recipe->features[f], &bounds))
			put_pair(&proposal->json, recipe->features[f].name, &bounds);
	ml_json_end_object(&proposal->json);
	end(proposal, psprintf("the ranges of " INT64_FORMAT " training rows, and a tenth more on either side", proposal->rows));
}

typedef bool (*Choice) (const Proposal *proposal, const MlFeature *feature);

static bool
never_missing(const Proposal *proposal, const MlFeature *feature)
{
	return missing_share(proposal, feature) == 0;
}

/* a value without a level was not in the training rows, unless rare ones have no level either */
static bool
tells_unseen(const Proposal *proposal, const MlFeature *feature)
{
	return feature->kind == ML_KIND_CATEGORY && feature->nlevels > 0 && feature->pool_share == 0;
}

static bool
is_category(const Proposal *proposal, const MlFeature *feature)
{
	return feature->kind == ML_KIND_CATEGORY && feature->nlevels > 0;
}

static bool
knows_missing(const Proposal *proposal, const MlFeature *feature)
{
	return !isnan(missing_share(proposal, feature));
}

static int
count(const Proposal *proposal, Choice choice)
{
	int			n = 0;

	for (int f = 0; f < proposal->recipe->nfeatures; f++)
		n += choice(proposal, &proposal->recipe->features[f]);
	return n;
}

/* one soft check of all columns that are chosen */
static void
propose_columns(Proposal *proposal, const char *name, MlCheckKind kind, Choice choice, const char *reason)
{
	const MlRecipe *recipe = proposal->recipe;

	if (count(proposal, choice) == 0)
		return;
	begin(proposal, name, kind, ML_SEVERITY_SOFT);
	ml_json_key(&proposal->json, "columns");
	ml_json_begin_array(&proposal->json);
	for (int f = 0; f < recipe->nfeatures; f++)
		if (choice(proposal, &recipe->features[f]))
			ml_json_text(&proposal->json, recipe->features[f].name);
	ml_json_end_array(&proposal->json);
	end(proposal, reason);
}

static void
propose_shares(Proposal *proposal, const char *name, MlCheckKind kind, Choice choice, const char *reason)
{
	const MlRecipe *recipe = proposal->recipe;

	if (count(proposal, choice) == 0)
		return;
	begin(proposal, name, kind, ML_SEVERITY_DRIFT);
	ml_json_key(&proposal->json, "bounds");
	ml_json_begin_object(&proposal->json);
	for (int f = 0; f < recipe->nfeatures; f++)
	{
		const MlFeature *feature = &recipe->features[f];

		if (choice(proposal, feature))
			ml_json_put_float(&proposal->json, feature->name,
							  share_bound(kind == ML_CHECK_MISSING_SHARE ? missing_share(proposal, feature) : feature->pool_share));
	}
	ml_json_end_object(&proposal->json);
	end(proposal, reason);
}

static int
count_ranges(const Proposal *proposal)
{
	int			n = 0;

	for (int f = 0; f < proposal->recipe->nfeatures; f++)
		n += has_range(&proposal->recipe->features[f]);
	return n;
}

static Jsonb *
propose(Proposal *proposal)
{
	MlJson	   *json = &proposal->json;

	ml_json_begin_array(json);
	begin(proposal, "values of their types", ML_CHECK_TYPE, ML_SEVERITY_HARD);
	end(proposal, "a JSON value of another type is an error of the whole statement otherwise");
	propose_columns(proposal, "nothing missing that never was", ML_CHECK_MISSING, never_missing,
					psprintf("none of " INT64_FORMAT " training rows lacks one of these", proposal->rows));
	propose_columns(proposal, "known values", ML_CHECK_UNSEEN, tells_unseen,
					"every value of these in the training rows has a level: others were never seen");
	propose_ranges(proposal, count_ranges(proposal));
	propose_shares(proposal, "share of missing values", ML_CHECK_MISSING_SHARE, knows_missing,
				   "twice the share in training, or 0.05 more than it");
	propose_shares(proposal, "share of unknown values", ML_CHECK_UNSEEN_SHARE, is_category,
				   "twice the share of values without a level in training, or 0.05 more than it");
	begin(proposal, "a finite answer", ML_CHECK_FINITE, ML_SEVERITY_HARD);
	end(proposal, "what is no finite number answers nothing");
	ml_json_end_array(json);
	return ml_json_finish(json);
}

/* mlops_propose_checks(model text): a reference */
Datum
mlops_propose_checks(PG_FUNCTION_ARGS)
{
	text	   *reference = PG_GETARG_TEXT_PP(0);
	Proposal	proposal = {0};
	MlReference parsed;
	MlResolved	resolved;
	const MlModel *model;

	ml_reference_parse(VARDATA_ANY(reference), VARSIZE_ANY_EXHDR(reference), &parsed);
	model = ml_registry_model(&parsed, ML_PRIVILEGE_READ, CurrentMemoryContext, &resolved);
	proposal.recipe = ml_model_input_recipe(model);
	proposal.rows = proposal.recipe->ntrain;
	proposal.profiles = ml_registry_profile(resolved.model, resolved.version);
	PG_RETURN_JSONB_P(propose(&proposal));
}
