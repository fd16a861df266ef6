/*
 * spec.c
 *		What a version is trained from: the arguments of mlops_train as one
 *		value, to and from its canonical JSON.
 *
 * A spec is self-contained: with the same rows it trains the same bytes,
 * whatever the session's settings. It is also somebody's: the role that wrote
 * the source text is kept in "author" when another role trains from it.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "errors.h"
#include "frame/frame.h"
#include "json.h"
#include "lib/stringinfo.h"
#include "train/params.h"
#include "train/spec.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

static const char *const engine_choices[] = {"auto", "memory", "sql", NULL};

static const char *const fingerprint_choices[] = {"auto", "exact", "filter", "none", NULL};

static const MlParam option_table[] = {
	{"refit", ML_PARAM_BOOL, offsetof(MlTrainOptions, refit), 0, 0, 1, NULL,
	"Fit again on all rows, the held-out ones too, after measuring."},
	{"keep_rows", ML_PARAM_BOOL, offsetof(MlTrainOptions, keep_rows), 0, 0, 1, NULL,
	"Keep a copy of the rows with the version."},
	{"scratch", ML_PARAM_BOOL, offsetof(MlTrainOptions, scratch), 0, 0, 1, NULL,
	"A try: the oldest such versions are dropped by themselves."},
	{"canonical_order", ML_PARAM_BOOL, offsetof(MlTrainOptions, canonical_order), 1, 0, 1, NULL,
	"Sort the rows first, so that the same rows give the same bytes in whatever order they come."},
	{"min_group_rows", ML_PARAM_INT, offsetof(MlTrainOptions, min_group_rows), ML_DEFAULT_GROUP_ROWS, 1, 1e15, NULL,
	"Training rows that a group of group_by needs to be fitted alone."},
	{"engine", ML_PARAM_ENUM, offsetof(MlTrainOptions, engine), ML_ENGINE_AUTO, 0, 0, engine_choices,
	"What runs the passes of the fit: memory, or queries over the source, which take the place of rows that do not fit."},
	{"row_fingerprints", ML_PARAM_ENUM, offsetof(MlTrainOptions, row_fingerprints), ML_FINGERPRINTS_AUTO, 0, 0, fingerprint_choices,
	"What is kept to know the training rows again: 64 bits of each, or a filter that is wrong for one of 10,000 other rows; auto is exact up to 10 million rows."},
	{NULL}
};

static const char *const spec_keys[] = {
	"source", "target", "algorithm", "params", "features", "exclude", "key", "time_column",
	"weight", "group_by", "since", "until", "holdout", "seed", "options", "settings", "author", NULL
};

void
ml_spec_begin(MlSpec *spec)
{
	memset(spec, 0, sizeof(MlSpec));
	spec->holdout = ML_DEFAULT_HOLDOUT;
	spec->seed = ML_DEFAULT_SEED;
	spec->options.canonical_order = true;
	spec->options.min_group_rows = ML_DEFAULT_GROUP_ROWS;
	ml_spec_take_settings(spec);
}

void
ml_spec_take_settings(MlSpec *spec)
{
	for (int i = 0; i < ML_NSETTINGS; i++)
		spec->settings[i] = pstrdup(GetConfigOption(ml_setting_names[i], false, false));
}

void
ml_spec_take_options(MlSpec *spec, Jsonb *options)
{
	MlParamWords words = {"training", "option", "options",
	"For example options => '{\"refit\": true}'."};
	MlParamSet	set = {option_table, &spec->options};

	(void) ml_params_parse(&words, options, &set, 1);
}

/* ---- checks ---- */

static void
check_column_name(const char *argument, const char *name)
{
	if (name != NULL && name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is empty", argument),
				 errdetail("It names a column of the source, which an empty name cannot."),
				 errhint("Give the name of a column of the source, or NULL for none.")));
}

static void
check_not_listed(const MlSpec *spec, const char *argument, const char *name)
{
	if (name == NULL)
		return;
	for (int i = 0; i < spec->nfeatures; i++)
		if (strcmp(spec->features[i], name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" cannot be both the %s and a feature", name, argument),
					 errdetail("\"features\" lists it, and it is given as the %s, which is not learned from.", argument),
					 errhint("Leave it out of \"features\".")));
}

static void
check_distinct(const char *a, const char *name_a, const char *b, const char *name_b)
{
	if (name_a != NULL && name_b != NULL && strcmp(name_a, name_b) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be both the %s and the %s", name_a, a, b),
				 errdetail("A column has one role."),
				 errhint("Name another column, or leave one of them out.")));
}

/* under the settings of the session; the spec's own decide when it is read */
static TimestampTz
take_time(const char *key, const char *text)
{
	TimestampTz moment;

	if (!ml_attempt_time(text, &moment))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of a spec is no moment", key),
				 errdetail("It is \"%s\".", text),
				 errhint("Write it as in \"2026-01-31 12:00+00\"; for a time column of integers give a number without quotes.")));
	return moment;
}

static bool
is_empty_stretch(const MlSpec *spec)
{
	if (spec->bounds_are_numbers)
		return spec->since != NULL && spec->until != NULL &&
			strtoll(spec->since, NULL, 10) >= strtoll(spec->until, NULL, 10);
	return take_time("since", spec->since != NULL ? spec->since : "-infinity") >=
		take_time("until", spec->until != NULL ? spec->until : "infinity");
}

static void
check_times(const MlSpec *spec)
{
	if (spec->since == NULL && spec->until == NULL)
		return;
	if (spec->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" was given without a \"time_column\"", spec->since != NULL ? "since" : "until"),
				 errdetail("It says which rows are read, by their time."),
				 errhint("Name the column of type date, timestamp, timestamptz or integer.")));
	if (is_empty_stretch(spec))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no time is between \"since\" and \"until\""),
				 errdetail("\"since\" is %s, \"until\" is %s.", spec->since ? spec->since : "not given", spec->until ? spec->until : "not given"),
				 errhint("Rows are read whose time is from \"since\" on and before \"until\".")));
}

void
ml_spec_check(const MlSpec *spec)
{
	if (spec->source == NULL || strspn(spec->source, " \t\r\n") == strlen(spec->source))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no source to train from was given"),
				 errdetail("\"source\" is %s.", spec->source == NULL ? "NULL" : "empty"),
				 errhint("Give the name of a table or a query: source => 'customers'.")));
	if (isnan(spec->holdout) || spec->holdout < 0 || spec->holdout >= 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"holdout\" cannot be %g", spec->holdout),
				 errdetail("It is the share of rows that the model is measured on: at least 0 and below 1; its default is %g.",
						   ML_DEFAULT_HOLDOUT),
				 errhint("holdout => 0 trains on every row and measures nothing.")));
	check_column_name("target", spec->target);
	check_column_name("key", spec->key);
	check_column_name("time_column", spec->time_column);
	check_column_name("weight", spec->weight);
	check_column_name("group_by", spec->group_by);
	check_not_listed(spec, "target", spec->target);
	check_not_listed(spec, "weight", spec->weight);
	check_not_listed(spec, "key", spec->key);
	check_distinct("target", spec->target, "weight", spec->weight);
	check_distinct("target", spec->target, "key", spec->key);
	check_distinct("target", spec->target, "time column", spec->time_column);
	check_distinct("weight", spec->weight, "key", spec->key);
	check_distinct("weight", spec->weight, "time column", spec->time_column);
	check_distinct("target", spec->target, "group", spec->group_by);
	check_distinct("weight", spec->weight, "group", spec->group_by);
	check_distinct("key", spec->key, "group", spec->group_by);
	check_distinct("time column", spec->time_column, "group", spec->group_by);
	check_times(spec);
	(void) ml_source_query(spec->source);
}

/* ---- rows of a stretch of time ---- */

static void
append_bound(StringInfo query, const MlSpec *spec, const char *operator, const char *bound)
{
	if (bound != NULL)
		appendStringInfo(query, " AND q.%s OPERATOR(pg_catalog.%s) %s::pg_catalog.%s",
						 quote_identifier(spec->time_column), operator, quote_literal_cstr(bound),
						 spec->bounds_are_numbers ? "int8" : "timestamptz");
}

void
ml_spec_request(const MlSpec *spec, const char *source, MlFrameRequest *request)
{
	request->source = source;
	request->target = spec->target;
	request->weight = spec->weight;
	request->key = spec->key;
	request->time_column = spec->time_column;
	request->features = spec->features;
	request->nfeatures = spec->nfeatures;
	request->exclude = spec->exclude;
	request->nexclude = spec->nexclude;
}

char *
ml_spec_source(const MlSpec *spec)
{
	StringInfoData query;

	if (spec->since == NULL && spec->until == NULL)
		return spec->source;
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT * FROM (%s\n) AS q WHERE true", ml_source_query(spec->source));
	append_bound(&query, spec, ">=", spec->since);
	append_bound(&query, spec, "<", spec->until);
	return query.data;
}

/* ---- from JSON ---- */

static void
refuse_type(const char *key, const JsonbValue *value, const char *wanted)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" of a spec must be %s", key, wanted),
			 errdetail("Found %s.", ml_json_show(value)),
			 errhint("See the column \"spec\" of the view mlops.version for examples.")));
}

static void
refuse_key(const char *what, const char *key, const char *const *keys, int nkeys)
{
	MlNearest	nearest;
	StringInfoData list;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, key);
	for (int i = 0; i < nkeys; i++)
	{
		ml_nearest_offer(&nearest, keys[i]);
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", keys[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s has no key \"%s\"", what, key),
			 errdetail("Its keys are: %s.", list.data),
			 nearest.best != NULL
			 ? errhint("Perhaps you meant \"%s\".", nearest.best)
			 : errhint("See the column \"spec\" of the view mlops.version for examples.")));
}

static char *
take_string(const char *key, const JsonbValue *value)
{
	if (value->type != jbvString)
		refuse_type(key, value, "a string");
	return ml_json_string(value);
}

static char **
take_strings(const char *key, const JsonbValue *value, int *n)
{
	JsonbContainer *array;
	char	  **strings;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		refuse_type(key, value, "an array of strings");
	array = value->val.binary.data;
	*n = JsonContainerSize(array);
	strings = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvString)
			refuse_type(key, value, "an array of strings");
		strings[i] = ml_json_string(element);
	}
	return strings;
}

static Jsonb *
take_object(const char *key, const JsonbValue *value)
{
	JsonbValue	copy = *value;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		refuse_type(key, value, "an object");
	return JsonbValueToJsonb(&copy);
}

/* compared as numeric: the largest seeds are no float8 */
static int64
take_integer(const char *key, const JsonbValue *value)
{
	Datum		number;
	Datum		least = DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MIN));
	Datum		most = DirectFunctionCall1(int8_numeric, Int64GetDatum(PG_INT64_MAX));

	if (value->type != jbvNumeric)
		refuse_type(key, value, "an integer");
	number = NumericGetDatum(value->val.numeric);
	if (!DatumGetBool(DirectFunctionCall2(numeric_ge, number, least)) ||
		!DatumGetBool(DirectFunctionCall2(numeric_le, number, most)) ||
		!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0)))))
		refuse_type(key, value, "an integer of 64 bits");
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
}

/* a moment as text, or a number of a column of integers; both bounds are of one kind */
static char *
take_bound(MlSpec *spec, const char *key, const JsonbValue *value)
{
	bool		number = value->type == jbvNumeric;
	bool		first = spec->since == NULL && spec->until == NULL;

	if (!number && value->type != jbvString)
		refuse_type(key, value, "a moment, as a string, or a whole number");
	if (!first && number != spec->bounds_are_numbers)
		refuse_type(key, value, number ? "a string, as the other bound is" : "a number, as the other bound is");
	spec->bounds_are_numbers = number;
	return number ? psprintf(INT64_FORMAT, take_integer(key, value)) : ml_json_string(value);
}

/* what the server would not take when the source is read */
static void
check_setting(const char *name, const char *value)
{
	if (set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, false, DEBUG5, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" of a spec cannot be \"%s\"", name, value),
				 errdetail("The source would be read under it, and the server does not take this value."),
				 errhint("Give one that SET %s takes, or leave it out for that of the session.", name)));
}

static void
take_setting(void *arg, char *key, JsonbValue *value)
{
	MlSpec	   *spec = arg;

	for (int i = 0; i < ML_NSETTINGS; i++)
		if (pg_strcasecmp(key, ml_setting_names[i]) == 0)
		{
			if (value->type == jbvNull)
				return;
			spec->settings[i] = take_string(key, value);
			check_setting(ml_setting_names[i], spec->settings[i]);
			return;
		}
	refuse_key("\"settings\" of a spec", key, ml_setting_names, ML_NSETTINGS);
}

static void
take_key(void *arg, char *key, JsonbValue *value)
{
	MlSpec	   *spec = arg;

	for (int i = 0;; i++)
	{
		if (spec_keys[i] == NULL)
			refuse_key("a spec", key, spec_keys, i);
		if (strcmp(spec_keys[i], key) == 0)
			break;
	}
	if (value->type == jbvNull)
		return;
	if (strcmp(key, "source") == 0)
		spec->source = take_string(key, value);
	else if (strcmp(key, "target") == 0)
		spec->target = take_string(key, value);
	else if (strcmp(key, "algorithm") == 0)
		spec->algorithm = take_string(key, value);
	else if (strcmp(key, "params") == 0)
		spec->params = take_object(key, value);
	else if (strcmp(key, "features") == 0)
		spec->features = take_strings(key, value, &spec->nfeatures);
	else if (strcmp(key, "exclude") == 0)
		spec->exclude = take_strings(key, value, &spec->nexclude);
	else if (strcmp(key, "key") == 0)
		spec->key = take_string(key, value);
	else if (strcmp(key, "time_column") == 0)
		spec->time_column = take_string(key, value);
	else if (strcmp(key, "weight") == 0)
		spec->weight = take_string(key, value);
	else if (strcmp(key, "group_by") == 0)
		spec->group_by = take_string(key, value);
	else if (strcmp(key, "since") == 0)
		spec->since = take_bound(spec, key, value);
	else if (strcmp(key, "until") == 0)
		spec->until = take_bound(spec, key, value);
	else if (strcmp(key, "author") == 0)
		spec->author = take_string(key, value);
	else if (strcmp(key, "seed") == 0)
		spec->seed = take_integer(key, value);
	else if (strcmp(key, "options") == 0)
		ml_spec_take_options(spec, take_object(key, value));
	else if (strcmp(key, "settings") == 0)
		ml_json_each(take_object(key, value), take_setting, spec);
	else if (value->type == jbvNumeric)
		spec->holdout = ml_json_number(value);
	else
		refuse_type(key, value, "a number");
}

void
ml_spec_read(MlSpec *spec, Jsonb *json)
{
	ml_spec_begin(spec);
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a spec must be a JSON object"),
				 errdetail("Found %s.", ml_json_show_jsonb(json)),
				 errhint("For example '{\"source\": \"customers\", \"target\": \"churned\"}'.")));
	ml_json_each(json, take_key, spec);
}

/* ---- to JSON ---- */

static void
put_list(MlJson *json, const char *key, char **names, int n)
{
	ml_json_key(json, key);
	if (names == NULL)
		ml_json_text(json, NULL);
	else
		ml_json_texts(json, names, n);
}

static Jsonb *
write_options(const MlSpec *spec)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	for (const MlParam *option = option_table; option->name != NULL; option++)
	{
		const char *place = (const char *) &spec->options + option->offset;

		if (option->type == ML_PARAM_BOOL)
			ml_json_put_bool(&json, option->name, *(const bool *) place);
		else if (option->type == ML_PARAM_INT && spec->group_by != NULL)
			ml_json_put_int(&json, option->name, *(const int64 *) place);
	}
	if (spec->options.engine != ML_ENGINE_AUTO)
		ml_json_put_text(&json, "engine", engine_choices[spec->options.engine]);
	if (spec->options.row_fingerprints != ML_FINGERPRINTS_AUTO)
		ml_json_put_text(&json, "row_fingerprints", fingerprint_choices[spec->options.row_fingerprints]);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

static void
put_bound(MlJson *json, const MlSpec *spec, const char *key, const char *bound)
{
	if (bound == NULL)
		return;
	if (spec->bounds_are_numbers)
		ml_json_put_int(json, key, strtoll(bound, NULL, 10));
	else
		ml_json_put_text(json, key, bound);
}

Jsonb *
ml_spec_write(const MlSpec *spec)
{
	MlJson		json = {0};

	ml_json_begin_object(&json);
	ml_json_put_text(&json, "source", spec->source);
	ml_json_put_text(&json, "target", spec->target);
	ml_json_put_text(&json, "algorithm", spec->algorithm);
	ml_json_key(&json, "params");
	ml_json_jsonb(&json, spec->params != NULL ? spec->params : ml_json_empty_object());
	put_list(&json, "features", spec->features, spec->nfeatures);
	put_list(&json, "exclude", spec->exclude, spec->nexclude);
	ml_json_put_text(&json, "key", spec->key);
	ml_json_put_text(&json, "time_column", spec->time_column);
	ml_json_put_text(&json, "weight", spec->weight);
	if (spec->group_by != NULL)
		ml_json_put_text(&json, "group_by", spec->group_by);
	put_bound(&json, spec, "since", spec->since);
	put_bound(&json, spec, "until", spec->until);
	ml_json_put_float(&json, "holdout", spec->holdout);
	ml_json_put_int(&json, "seed", spec->seed);
	ml_json_key(&json, "options");
	ml_json_jsonb(&json, write_options(spec));
	ml_json_key(&json, "settings");
	ml_json_begin_object(&json);
	for (int i = 0; i < ML_NSETTINGS; i++)
		ml_json_put_text(&json, ml_setting_names[i], spec->settings[i]);
	ml_json_end_object(&json);
	if (spec->author != NULL)
		ml_json_put_text(&json, "author", spec->author);
	ml_json_end_object(&json);
	return ml_json_finish(&json);
}

/* ---- settings ---- */

int
ml_spec_enter_settings(const MlSpec *spec)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < ML_NSETTINGS; i++)
		ml_author_set(ml_setting_names[i], spec->settings[i]);
	return level;
}

void
ml_spec_leave_settings(int level)
{
	/* rolled back: nothing that a function of the source sets may stay */
	AtEOXact_GUC(false, level);
}
