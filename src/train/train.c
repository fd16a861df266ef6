/*
 * train.c
 *		One training: its beginning and end, and what can be refused before a row
 *		is read. read.c, fit.c and register.c are the phases that follow.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "recipe/task.h"
#include "train/encoder.h"
#include "train/learn_link.h"
#include "train/params.h"
#include "train/train.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

double
ml_training_seconds(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_DOUBLE(now);
}

void
ml_training_report(MlTraining *training, const char *phase,
				   int64 done, int64 total, double objective)
{
	CHECK_FOR_INTERRUPTS();
	if (training->report != NULL)
		training->report(training, phase, done, total, objective);
}

void
ml_training_warn(MlTraining *training, char *sentence)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	training->warnings = lappend(training->warnings, pstrdup(sentence));
	MemoryContextSwitchTo(old);
}

MlTraining *
ml_training_begin(MemoryContext parent, const char *model)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "mlops train", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlTraining *training = palloc0(sizeof(MlTraining));

	training->cxt = cxt;
	training->model = pstrdup(model);
	ml_spec_begin(&training->spec);
	MemoryContextSwitchTo(old);
	return training;
}

void
ml_training_end(MlTraining *training)
{
	if (training->kept != NULL)
		ml_kept_end(training->kept);
	MemoryContextDelete(training->cxt);
}

/* ---- check ---- */

/*
 * A missing model is made when its first version is registered, so that a
 * training that fails leaves nothing behind; whether that will be allowed is
 * asked now.
 */
static void
check_model(MlTraining *training)
{
	MlReference reference;

	ml_reference_parse(training->model, strlen(training->model), &reference);
	if (reference.alias[0] != '\0' || reference.version != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is a reference to a version, not the name of a model", training->model),
				 errdetail("It has a %s after the name.", reference.alias[0] != '\0' ? "\"@\"" : "\"/\""),
				 errhint("Training makes a new version: give the name alone, \"%s\".", reference.model)));
	training->row = ml_registry_model_row(training->model);
	if (training->row != NULL)
		ml_privilege_require(training->model, ML_PRIVILEGE_TRAIN);
	else if (!DatumGetBool(DirectFunctionCall2(has_schema_privilege_id,
											   ObjectIdGetDatum(get_namespace_oid("mlops", false)),
											   CStringGetTextDatum("CREATE"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("model \"%s\" does not exist, and role \"%s\" may not make one",
						training->model, GetUserNameFromId(GetUserId(), false)),
				 errdetail("The first training of a model makes it, for roles with CREATE on schema mlops."),
				 errhint("Ask for GRANT CREATE ON SCHEMA mlops TO %s.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static void
refuse_target(const MlTraining *training, const char *known)
{
	StringInfoData settings;

	initStringInfo(&settings);
	appendStringInfoString(&settings, "{\"target\": ");
	escape_json(&settings, training->spec.target);
	appendStringInfoChar(&settings, '}');
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" predicts \"%s\", not \"%s\"", training->model, known,
					training->spec.target),
			 errdetail("A model has one target, so that its versions can be compared."),
			 ml_registry_has_versions(training->model) ?
			 errhint("Train a model of another name, or leave the target out.") :
			 errhint("It has no version now: SELECT mlops_set_model(%s, %s) changes its target.",
					 quote_literal_cstr(training->model), quote_literal_cstr(settings.data))));
}

/* A model of one kind cannot have a version of the other: target or none. */
static void
refuse_target_or_none(const MlTraining *training, const char *target)
{
	const char *algorithm = training->algorithm->name;

	if (training->spec.target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model \"%s\" predicts \"%s\", but algorithm \"%s\" takes no target",
						training->model, target, algorithm),
				 errdetail("It learns from the features alone."),
				 errhint("Train a model of another name.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("algorithm \"%s\" takes no target", algorithm),
			 errdetail("It learns from the features alone; \"%s\" was given as the target.", target),
			 errhint("Leave the target out; to keep the column from being a feature: exclude => ARRAY[%s].",
					 quote_literal_cstr(target))));
}

/* the algorithm for another version of a model without a target */
static const char *
usual_algorithm(const MlModelRow *row)
{
	if (row == NULL || row->task == NULL)
		return NULL;
	switch ((int) ml_task_find(row->task))
	{
		case ML_TASK_CLUSTER:
			return "kmeans";
		case ML_TASK_ANOMALY:
			return "isolation_forest";
		case ML_TASK_PROJECTION:
			return "pca";
	}
	return NULL;
}

static void
check_algorithm(MlTraining *training)
{
	MlSpec	   *spec = &training->spec;
	const char *name = spec->algorithm;

	if (name == NULL && spec->target == NULL)
		name = usual_algorithm(training->row);
	if (name == NULL)
		return;
	training->algorithm = ml_learn_algorithm(name);
	ml_training_take_params(training);
}

bool
ml_training_has_target(const MlTraining *training)
{
	return training->algorithm == NULL || (training->algorithm->tasks & ~ML_TASKS_UNSUPERVISED) != 0;
}

static void
check_target(MlTraining *training)
{
	MlSpec	   *spec = &training->spec;
	const char *known = training->row != NULL ? training->row->target : NULL;

	if (!ml_training_has_target(training))
	{
		if (spec->target != NULL || known != NULL)
			refuse_target_or_none(training, spec->target != NULL ? spec->target : known);
		return;
	}
	if (spec->target == NULL && known != NULL)
		spec->target = pstrdup(known);
	if (spec->target == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no target was given for model \"%s\"", training->model),
				 errdetail("The target is the column that the model learns to predict."),
				 errhint("Name it: target => 'column'. Some algorithms need none, such as algorithm => 'kmeans'.")));
	if (known != NULL && strcmp(known, spec->target) != 0)
		refuse_target(training, known);
}

void
ml_training_take_params(MlTraining *training)
{
	const MlAlgorithm *algorithm = training->algorithm;
	static const MlParam none[] = {{NULL}};
	MlParamWords words;
	MlParamSet	sets[1 + ML_MAX_COMMON_SETS];
	int			nsets = 1;

	training->params = palloc0(Max(algorithm->params_size, 1));
	words.owner = psprintf("algorithm \"%s\"", algorithm->name);
	words.noun = "parameter";
	words.object = "params";
	words.hint = psprintf("See SELECT * FROM mlops_params('%s').", algorithm->name);
	sets[0].table = algorithm->params != NULL ? algorithm->params : none;
	sets[0].values = training->params;
	nsets += ml_common_sets(algorithm, &training->recipe_params, &training->common_params, sets + 1);
	training->params_json = ml_params_parse(&words, training->spec.params, sets, nsets);
}

void
ml_training_check(MlTraining *training)
{
	MemoryContext old = MemoryContextSwitchTo(training->cxt);

	ml_registry_require_writable("train a model");
	check_model(training);
	ml_training_take_encoder(training);
	check_algorithm(training);
	check_target(training);
	ml_spec_check(&training->spec);
	MemoryContextSwitchTo(old);
}
