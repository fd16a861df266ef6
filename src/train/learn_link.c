/*
 * learn_link.c
 *		The way from mlops to mlops_learn, loaded on first use, and what the
 *		algorithms say about themselves: mlops_algorithms(), mlops_params().
 *
 * A library that calls another's symbols fails to load before it, so the two
 * meet through a rendezvous variable. OpenBLAS starts its threads when it is
 * loaded, therefore OPENBLAS_NUM_THREADS is set before, whatever the server's
 * environment says: a backend must stay a process of one thread.
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "errors.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "recipe/task.h"
#include "result.h"
#include "train/common_params.h"
#include "train/learn_link.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_algorithms);
PG_FUNCTION_INFO_V1(mlops_params);

const MlLearnApi *
ml_learn(void)
{
	void	  **variable = find_rendezvous_variable(ML_LEARN_RENDEZVOUS);
	const MlLearnApi *api;

	if (*variable == NULL)
	{
		setenv("OPENBLAS_NUM_THREADS", "1", 1);
		load_file("$libdir/mlops_learn", false);
	}
	api = *variable;
	if (api == NULL || api->abi != ML_LEARN_ABI)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("library \"mlops_learn\" does not belong to this \"mlops\""),
				 errdetail("It offers interface %d; %d is needed.",
						   api == NULL ? 0 : api->abi, ML_LEARN_ABI),
				 errhint("Install both libraries from one build, and open a new connection.")));
	return api;
}

const MlAlgorithm *
ml_learn_algorithm(const char *name)
{
	const MlLearnApi *api = ml_learn();
	MlNearest	nearest;
	StringInfoData list;

	initStringInfo(&list);
	ml_nearest_begin(&nearest, name);
	for (int i = 0; api->algorithms[i] != NULL; i++)
	{
		const MlAlgorithm *algorithm = api->algorithms[i];

		if (strcmp(algorithm->name, name) == 0)
			return algorithm;
		ml_nearest_offer(&nearest, algorithm->name);
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", algorithm->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("algorithm \"%s\" does not exist", name),
			 errdetail("The algorithms are: %s.", list.data),
			 nearest.best != NULL
			 ? errhint("Perhaps you meant \"%s\". See SELECT * FROM mlops_algorithms().", nearest.best)
			 : errhint("See SELECT * FROM mlops_algorithms().")));
	return NULL;				/* keep the compiler quiet */
}

/* ---- lists ---- */

static Datum
text_array(const char *const *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * (n + 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
mlops_algorithms(PG_FUNCTION_ARGS)
{
	const MlLearnApi *api = ml_learn();
	MlRows		result;

	ml_rows_begin(fcinfo, &result);
	for (int i = 0; api->algorithms[i] != NULL; i++)
	{
		const MlAlgorithm *algorithm = api->algorithms[i];
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(algorithm->name);
		values[1] = ml_task_names(algorithm->tasks);
		values[2] = CStringGetTextDatum(algorithm->summary);
		values[3] = BoolGetDatum(algorithm->gives_probability);
		values[4] = BoolGetDatum(algorithm->gives_inference);
		ml_rows_add(&result, values, nulls);
	}
	return (Datum) 0;
}

static const char *
fallback_text(const MlParam *param)
{
	char	   *digits;

	switch (param->type)
	{
		case ML_PARAM_BOOL:
			return param->fallback != 0 ? "true" : "false";
		case ML_PARAM_ENUM:
			return param->choices[(int) param->fallback];
		case ML_PARAM_TEXT:
		case ML_PARAM_NUMBERS:
		case ML_PARAM_INTEGERS:
		case ML_PARAM_NAMED:
			return NULL;
		default:
			digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);
			double_to_shortest_decimal_buf(param->fallback, digits);
			return digits;
	}
}

static void
put_param(MlRows *result, const char *algorithm, const MlParam *param)
{
	static const char *const type_name[] = {
		[ML_PARAM_BOOL] = "boolean", [ML_PARAM_INT] = "integer",
		[ML_PARAM_FLOAT] = "number", [ML_PARAM_ENUM] = "choice", [ML_PARAM_TEXT] = "text",
		[ML_PARAM_NUMBERS] = "numbers", [ML_PARAM_INTEGERS] = "integers", [ML_PARAM_NAMED] = "object"
	};
	const char *fallback = fallback_text(param);
	bool		is_number = param->type != ML_PARAM_BOOL && param->type != ML_PARAM_ENUM &&
		param->type != ML_PARAM_TEXT;
	Datum		values[8] = {0};
	bool		nulls[8] = {false};
	int			nchoices = 0;

	values[0] = CStringGetTextDatum(algorithm);
	values[1] = CStringGetTextDatum(param->name);
	values[2] = CStringGetTextDatum(type_name[param->type]);
	nulls[3] = fallback == NULL;
	if (!nulls[3])
		values[3] = CStringGetTextDatum(fallback);
	nulls[4] = !is_number || !isfinite(param->minimum);
	nulls[5] = !is_number || !isfinite(param->maximum);
	if (!nulls[4])
		values[4] = Float8GetDatum(param->minimum);
	if (!nulls[5])
		values[5] = Float8GetDatum(param->maximum);
	nulls[6] = param->type != ML_PARAM_ENUM;
	if (!nulls[6])
	{
		while (param->choices[nchoices] != NULL)
			nchoices++;
		values[6] = text_array(param->choices, nchoices);
	}
	values[7] = CStringGetTextDatum(param->text);
	ml_rows_add(result, values, nulls);
}

Datum
mlops_params(PG_FUNCTION_ARGS)
{
	const MlLearnApi *api = ml_learn();
	const MlAlgorithm *wanted = NULL;
	MlRows		result;

	if (!PG_ARGISNULL(0))
		wanted = ml_learn_algorithm(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ml_rows_begin(fcinfo, &result);
	for (int i = 0; api->algorithms[i] != NULL; i++)
	{
		const MlAlgorithm *algorithm = api->algorithms[i];
		MlParamSet	sets[ML_MAX_COMMON_SETS];
		int			nsets;

		if (wanted != NULL && algorithm != wanted)
			continue;
		for (const MlParam *param = algorithm->params; param != NULL && param->name != NULL; param++)
			put_param(&result, algorithm->name, param);
		nsets = ml_common_sets(algorithm, NULL, NULL, sets);
		for (int s = 0; s < nsets; s++)
			for (const MlParam *param = sets[s].table; param->name != NULL; param++)
				put_param(&result, algorithm->name, param);
	}
	return (Datum) 0;
}
