/*
 * space.c
 *		Candidates from a space of algorithms, parameters and feature lists.
 *
 * A space is an object, or an array of them:
 *   {"algorithm": "logistic_regression",
 *    "params": {"l2": {"low": 0.01, "high": 100, "scale": "log"}, "impute": ["mean", "median"]},
 *    "features": [["age", "plan"], ["age", "plan", "city"]]}
 * Of "params" a scalar is fixed, an array lists choices, an object is a range.
 * "algorithm" may list several. The grid takes every combination of choices;
 * random candidates take each choice and each value by a hash of the seed, the
 * candidate's number and the name, spaces in turn (Bergstra & Bengio, Random
 * search for hyper-parameter optimization, JMLR 13, 2012).
 */
#include "postgres.h"

#include <math.h>

#include "errors.h"
#include "search/search.h"
#include "json.h"
#include "train/learn_link.h"
#include "train/params.h"
#include "utils/builtins.h"

#define MAX_TRIES	50			/* for a random candidate that is not there yet */

const MlParam ml_search_params[] = {
	{"candidates", ML_PARAM_INT, offsetof(MlSearchBudget, candidates), 30, 1, 10000, NULL,
	"most candidates that are tried"},
	{"seconds", ML_PARAM_FLOAT, offsetof(MlSearchBudget, seconds), 0, 0, INFINITY, NULL,
	"time after which no candidate is measured any more; 0: no limit"},
	{"folds", ML_PARAM_INT, offsetof(MlSearchBudget, folds), 3, 2, ML_MAX_FOLDS, NULL,
	"parts of the training rows for cross-validation; rows of a key stay together, with a time column each part is predicted from those before it"},
	{"first_rows", ML_PARAM_INT, offsetof(MlSearchBudget, first_rows), 0, 0, 1e15, NULL,
	"training rows of the smallest sample; 0: a 27th of all, from 200 to 2000"},
	{"reduction", ML_PARAM_INT, offsetof(MlSearchBudget, reduction), 3, 2, 10, NULL,
	"of so many candidates one goes on to the next sample, which is so many times larger"},
	{"method", ML_PARAM_ENUM, offsetof(MlSearchBudget, method), ML_SEARCH_AUTO, 0, 0,
		(const char *const[]) {"auto", "grid", "random", NULL},
	"grid: every combination; random: a sample of them; auto: the grid if it has at most \"candidates\" combinations and no range"},
	{NULL}
};

/* what there is to choose for one name */
typedef struct Dimension
{
	char	   *name;			/* of a parameter; NULL: the features */
	int			nchoices;		/* 0: a range */
	JsonbValue *choice;
	double		low;
	double		high;
	bool		log_scale;
	bool		integer;
} Dimension;

typedef struct Space
{
	char	   *algorithm;
	int			ndimensions;
	Dimension  *dimension;
} Space;

typedef struct Spaces
{
	int			n;
	Space	   *space;
} Spaces;

static const char *const regression_space =
"[{\"algorithm\": \"linear_regression\"},"
" {\"algorithm\": \"linear_regression\", \"params\": {\"l2\": {\"low\": 0.1, \"high\": 10000, \"scale\": \"log\"}}},"
" {\"algorithm\": \"random_forest\"},"
" {\"algorithm\": \"gradient_boosting\", \"params\": {\"max_depth\": [3, 4, 6, 8], \"learning_rate\": {\"low\": 0.03, \"high\": 0.3, \"scale\": \"log\"}}}]";

static const char *const classes_space =
"[{\"algorithm\": \"logistic_regression\", \"params\": {\"l2\": {\"low\": 0.01, \"high\": 1000, \"scale\": \"log\"}}},"
" {\"algorithm\": \"naive_bayes\"},"
" {\"algorithm\": \"random_forest\"},"
" {\"algorithm\": \"gradient_boosting\", \"params\": {\"max_depth\": [3, 4, 6, 8], \"learning_rate\": {\"low\": 0.03, \"high\": 0.3, \"scale\": \"log\"}}}]";

static const char *const clusters_space =
"{\"algorithm\": \"kmeans\", \"params\": {\"k\": [2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20]}}";

static const char *
usual_space(MlTask task)
{
	switch (task)
	{
		case ML_TASK_REGRESSION:
			return regression_space;
		case ML_TASK_BINARY:
		case ML_TASK_MULTICLASS:
			return classes_space;
		case ML_TASK_CLUSTER:
			return clusters_space;
		case ML_TASK_PROJECTION:
		case ML_TASK_ANOMALY:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a search for components needs a \"space\""),
			 errdetail("More components always explain more: how many there may be is yours to say."),
			 errhint("For example space => '{\"algorithm\": \"pca\", \"params\": {\"components\": 5}, \"features\": [[\"a\", \"b\"], [\"a\", \"c\"]]}'.")));
}

/* ---- reading a space ---- */

ml_noreturn static void refuse(const char *key, const JsonbValue *value, const char *wanted);

static void
refuse(const char *key, const JsonbValue *value, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of a space must be %s", key, wanted),
			 errdetail("Found %s.", ml_json_show(value)),
			 errhint("For example space => '{\"algorithm\": \"gradient_boosting\", \"params\": {\"max_depth\": [3, 6], "
					 "\"learning_rate\": {\"low\": 0.01, \"high\": 0.3, \"scale\": \"log\"}}}'.")));
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data);
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

static void
take_choices(const char *key, const JsonbValue *value, Dimension *dimension)
{
	JsonbContainer *array = value->val.binary.data;

	dimension->nchoices = JsonContainerSize(array);
	if (dimension->nchoices == 0)
		refuse(key, value, "an array with a choice in it");
	dimension->choice = palloc(sizeof(JsonbValue) * dimension->nchoices);
	for (int i = 0; i < dimension->nchoices; i++)
		dimension->choice[i] = *getIthJsonbValueFromContainer(array, i);
}

static double
range_end(Jsonb *range, const char *key, const JsonbValue *whole, const char *name)
{
	JsonbValue	value;

	if (!ml_json_find(range, key, &value) || value.type != jbvNumeric)
		refuse(name, whole, "a range with numbers \"low\" and \"high\"");
	return ml_json_number(&value);
}

/* is the parameter of that name an integer? */
static bool
is_integer_param(const MlAlgorithm *algorithm, const char *name)
{
	const MlParam *const tables[] = {algorithm->params, ml_recipe_params};

	for (int t = 0; t < (int) lengthof(tables); t++)
		for (const MlParam *param = tables[t]; param != NULL && param->name != NULL; param++)
			if (strcmp(param->name, name) == 0)
				return param->type == ML_PARAM_INT || param->type == ML_PARAM_INTEGERS;
	return false;
}

static void
take_range(const MlAlgorithm *algorithm, const JsonbValue *value, Dimension *dimension)
{
	JsonbValue	copy = *value;
	Jsonb	   *range = JsonbValueToJsonb(&copy);
	JsonbValue	scale;

	dimension->low = range_end(range, "low", value, dimension->name);
	dimension->high = range_end(range, "high", value, dimension->name);
	if (ml_json_find(range, "scale", &scale))
	{
		if (scale.type != jbvString ||
			(strcmp(ml_json_string(&scale), "log") != 0 && strcmp(ml_json_string(&scale), "linear") != 0))
			refuse(dimension->name, value, "a range whose \"scale\" is \"linear\" or \"log\"");
		dimension->log_scale = strcmp(ml_json_string(&scale), "log") == 0;
	}
	if (!isfinite(dimension->low) || !isfinite(dimension->high) || dimension->low > dimension->high ||
		(dimension->log_scale && dimension->low <= 0))
		refuse(dimension->name, value, "a range from \"low\" to a \"high\" that is not below it, both positive for a scale of \"log\"");
	dimension->integer = is_integer_param(algorithm, dimension->name);
}

typedef struct TakeParams
{
	const MlAlgorithm *algorithm;
	Space	   *space;
} TakeParams;

static void
take_param(void *arg, char *name, JsonbValue *value)
{
	TakeParams *take = arg;
	Dimension  *dimension = &take->space->dimension[take->space->ndimensions++];
	JsonbValue	low;
	JsonbValue	copy = *value;

	memset(dimension, 0, sizeof(Dimension));
	dimension->name = name;
	if (is_array(value))
		take_choices(name, value, dimension);
	else if (is_object(value) && ml_json_find(JsonbValueToJsonb(&copy), "low", &low))
		take_range(take->algorithm, value, dimension);
	else
	{
		dimension->nchoices = 1;
		dimension->choice = palloc(sizeof(JsonbValue));
		dimension->choice[0] = *value;
	}
}

static void
take_features(const JsonbValue *value, Space *space)
{
	Dimension  *dimension = &space->dimension[space->ndimensions++];

	memset(dimension, 0, sizeof(Dimension));
	if (!is_array(value))
		refuse("features", value, "an array of arrays of columns");
	take_choices("features", value, dimension);
	for (int i = 0; i < dimension->nchoices; i++)
	{
		const JsonbValue *list = &dimension->choice[i];

		if (!is_array(list) || JsonContainerSize(list->val.binary.data) == 0)
			refuse("features", value, "an array of arrays of columns");
		for (uint32 j = 0; j < JsonContainerSize(list->val.binary.data); j++)
			if (getIthJsonbValueFromContainer(list->val.binary.data, j)->type != jbvString)
				refuse("features", value, "an array of arrays of columns");
	}
}

static void
check_keys(void *arg, char *key, JsonbValue *value)
{
	if (strcmp(key, "algorithm") == 0 || strcmp(key, "params") == 0 || strcmp(key, "features") == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a space has no key \"%s\"", key),
			 errdetail("Its keys are: algorithm, params, features."),
			 errhint("Parameters of the algorithm go into \"params\": {\"params\": {\"%s\": ...}}.", key)));
}

/* one space of one algorithm */
static void
add_space(Spaces *spaces, Jsonb *json, const JsonbValue *algorithm)
{
	Space	   *space;
	TakeParams	take;
	JsonbValue	params;
	JsonbValue	features;
	bool		has_params = ml_json_find(json, "params", &params);
	bool		has_features = ml_json_find(json, "features", &features);

	if (algorithm->type != jbvString)
		refuse("algorithm", algorithm, "the name of an algorithm, or an array of names");
	if (has_params && !is_object(&params))
		refuse("params", &params, "an object");
	if (spaces->space == NULL)
		spaces->space = palloc(sizeof(Space));
	else
		spaces->space = repalloc(spaces->space, sizeof(Space) * (spaces->n + 1));
	space = &spaces->space[spaces->n++];
	space->algorithm = ml_json_string(algorithm);
	space->ndimensions = 0;
	space->dimension = palloc(sizeof(Dimension) *
							  (1 + (has_params ? JsonContainerSize(params.val.binary.data) : 0)));
	take.algorithm = ml_learn_algorithm(space->algorithm);
	take.space = space;
	if (has_params)
		ml_json_each(JsonbValueToJsonb(&params), take_param, &take);
	if (has_features)
		take_features(&features, space);
}

static void
read_space(Spaces *spaces, const JsonbValue *value)
{
	JsonbValue	copy = *value;
	JsonbValue	algorithm;
	Jsonb	   *json;

	if (!is_object(value))
		refuse("algorithm", value, "in an object, or in an array of objects");
	json = JsonbValueToJsonb(&copy);
	ml_json_each(json, check_keys, NULL);
	if (!ml_json_find(json, "algorithm", &algorithm))
		refuse("algorithm", value, "there");
	if (!is_array(&algorithm))
	{
		add_space(spaces, json, &algorithm);
		return;
	}
	for (uint32 i = 0; i < JsonContainerSize(algorithm.val.binary.data); i++)
		add_space(spaces, json, getIthJsonbValueFromContainer(algorithm.val.binary.data, i));
}

static void
read_spaces(Spaces *spaces, Jsonb *json)
{
	JsonbValue	whole;

	if (JB_ROOT_IS_OBJECT(json) || JB_ROOT_IS_SCALAR(json) || JB_ROOT_COUNT(json) == 0)
	{
		whole.type = jbvBinary;
		whole.val.binary.data = &json->root;
		whole.val.binary.len = VARSIZE(json) - VARHDRSZ;
		read_space(spaces, &whole);
		return;
	}
	for (uint32 i = 0; i < JB_ROOT_COUNT(json); i++)
		read_space(spaces, getIthJsonbValueFromContainer(&json->root, i));
}

/* ---- candidates ---- */

static double
combinations(const Space *space)
{
	double		n = 1;

	for (int d = 0; d < space->ndimensions; d++)
		n *= space->dimension[d].nchoices == 0 ? INFINITY : space->dimension[d].nchoices;
	return n;
}

/* four digits are enough to tell candidates apart, and can be read */
static double
value_in_range(const Dimension *dimension, double u)
{
	double		value;
	char		digits[32];

	if (dimension->log_scale)
		value = dimension->low * pow(dimension->high / dimension->low, u);
	else
		value = dimension->low + u * (dimension->high - dimension->low + (dimension->integer ? 1 : 0));
	if (dimension->integer)
		value = dimension->log_scale ? rint(value) : floor(value);
	else
	{
		snprintf(digits, sizeof(digits), "%.4g", value);
		value = strtod(digits, NULL);
	}
	return Min(Max(value, dimension->low), dimension->high);
}

static void
set_features(MlCandidate *candidate, const JsonbValue *list)
{
	JsonbContainer *array = list->val.binary.data;

	candidate->nfeatures = JsonContainerSize(array);
	candidate->features = palloc(sizeof(char *) * candidate->nfeatures);
	for (int i = 0; i < candidate->nfeatures; i++)
		candidate->features[i] = ml_json_string(getIthJsonbValueFromContainer(array, i));
}

/* u[d]: where in dimension d, from 0 to 1 */
static void
make_candidate(const Space *space, const double *u, MlCandidate *candidate)
{
	MlJson		json = {0};

	memset(candidate, 0, sizeof(MlCandidate));
	candidate->algorithm = space->algorithm;
	ml_json_begin_object(&json);
	for (int d = 0; d < space->ndimensions; d++)
	{
		const Dimension *dimension = &space->dimension[d];
		int			i = Min((int) (u[d] * dimension->nchoices), dimension->nchoices - 1);

		if (dimension->name == NULL)
		{
			set_features(candidate, &dimension->choice[i]);
			continue;
		}
		ml_json_key(&json, dimension->name);
		if (dimension->nchoices == 0)
			ml_json_float(&json, value_in_range(dimension, u[d]));
		else
			ml_json_value(&json, &dimension->choice[i]);
	}
	ml_json_end_object(&json);
	candidate->params = ml_json_finish(&json);
}

static bool
same_candidate(const MlCandidate *a, const MlCandidate *b)
{
	if (strcmp(a->algorithm, b->algorithm) != 0 || a->nfeatures != b->nfeatures ||
		compareJsonbContainers(&a->params->root, &b->params->root) != 0)
		return false;
	for (int i = 0; i < a->nfeatures; i++)
		if (strcmp(a->features[i], b->features[i]) != 0)
			return false;
	return true;
}

static bool
is_there(const MlCandidate *candidates, int n, const MlCandidate *candidate)
{
	for (int i = 0; i < n; i++)
		if (same_candidate(&candidates[i], candidate))
			return true;
	return false;
}

static int
make_grid(const Spaces *spaces, MlCandidate *candidates)
{
	int			n = 0;

	for (int s = 0; s < spaces->n; s++)
	{
		const Space *space = &spaces->space[s];
		int64		total = (int64) combinations(space);
		double	   *u = palloc(sizeof(double) * Max(space->ndimensions, 1));

		for (int64 i = 0; i < total; i++)
		{
			int64		rest = i;

			for (int d = space->ndimensions - 1; d >= 0; d--)
			{
				int			choices = space->dimension[d].nchoices;

				u[d] = (rest % choices + 0.5) / choices;
				rest /= choices;
			}
			make_candidate(space, u, &candidates[n]);
			if (!is_there(candidates, n, &candidates[n]))
				n++;
		}
	}
	return n;
}

static int
make_random(const Spaces *spaces, int wanted, int64 seed, MlCandidate *candidates)
{
	int			n = 0;

	for (int i = 0; i < wanted; i++)
	{
		bool		made = false;

		/* a space that is used up gives its turn to the next */
		for (int s = 0; s < spaces->n && !made; s++)
		{
			const Space *space = &spaces->space[(i + s) % spaces->n];
			double	   *u = palloc(sizeof(double) * Max(space->ndimensions, 1));

			for (int try = 0; try < MAX_TRIES && !made; try++)
			{
				uint64		stream = ml_hash_word(ml_hash_word(ml_hash_word(0, (uint64) seed), i), try);

				for (int d = 0; d < space->ndimensions; d++)
					u[d] = ml_hash_unit(ml_hash_word(stream, d));
				make_candidate(space, u, &candidates[n]);
				made = !is_there(candidates, n, &candidates[n]);
			}
		}
		n += made;
	}
	return n;
}

/* A parameter that the algorithm does not have is refused before anything is fitted. */
static void
check_params(const MlCandidate *candidate)
{
	MlTraining	training = {0};

	training.spec.params = candidate->params;
	training.algorithm = ml_learn_algorithm(candidate->algorithm);
	ml_training_take_params(&training);
}

static void
check_algorithm(const MlCandidate *candidate, MlTask task)
{
	if (ml_learn_algorithm(candidate->algorithm)->tasks & (uint32) task)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 task & ML_TASKS_UNSUPERVISED ?
			 errmsg("algorithm \"%s\" does not do what the first of this search does", candidate->algorithm) :
			 errmsg("algorithm \"%s\" is not for the target of this search", candidate->algorithm),
			 errhint("See SELECT algorithm, tasks FROM mlops_algorithms().")));
}

char *
ml_space_without_target(Jsonb *json)
{
	Spaces		spaces = {0};

	read_spaces(&spaces, json);
	if (spaces.n == 0 || (ml_learn_algorithm(spaces.space[0].algorithm)->tasks & ~ML_TASKS_UNSUPERVISED) != 0)
		return NULL;
	return spaces.space[0].algorithm;
}

MlCandidate *
ml_space_candidates(Jsonb *json, MlTask task, const MlSearchBudget *budget, int64 seed, int *n)
{
	Spaces		spaces = {0};
	MlCandidate *candidates;
	double		grid = 0;

	if (json == NULL)
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(usual_space(task))));
	read_spaces(&spaces, json);
	for (int s = 0; s < spaces.n; s++)
		grid += combinations(&spaces.space[s]);
	if (budget->method == ML_SEARCH_GRID && grid > budget->candidates)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the grid does not fit the budget of " INT64_FORMAT " candidates", budget->candidates),
				 isinf(grid) ? errdetail("A range has no end of values.") :
				 errdetail("It has %.0f combinations.", grid),
				 errhint("List fewer choices, raise budget => '{\"candidates\": ...}', or take a sample: '{\"method\": \"random\"}'.")));
	candidates = palloc(sizeof(MlCandidate) * (budget->candidates + 1));
	if (budget->method == ML_SEARCH_RANDOM || grid > budget->candidates)
		*n = make_random(&spaces, (int) budget->candidates, seed, candidates);
	else
		*n = make_grid(&spaces, candidates);
	for (int i = 0; i < *n; i++)
	{
		candidates[i].number = i + 1;
		check_algorithm(&candidates[i], task);
		check_params(&candidates[i]);
	}
	return candidates;
}
