/*
 * hearing.c
 *		From the arguments of an SQL function to versions judged by rows, and
 *		what is said of rows that are left out.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "interrupts.h"
#include "judge/hearing.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MOST_ELEMENTS	1000	/* of an array of names: each slice holds memory of its own */

/* ---- arguments ---- */

int
ml_argument_int(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);
}

void
ml_argument_require(FunctionCallInfo fcinfo, int argument, const char *name, const char *example)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", name),
				 errdetail("It was given as NULL."),
				 errhint("As in %s.", example)));
}

char **
ml_argument_texts(FunctionCallInfo fcinfo, int argument, const char *name, int *n)
{
	Datum	   *element;
	bool	   *isnull;
	char	  **result;

	*n = 0;
	if (PG_ARGISNULL(argument))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &element, &isnull, n);
	if (*n > MOST_ELEMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("array \"%s\" is too long", name),
				 errdetail("It has %d elements, and can have %d.", *n, MOST_ELEMENTS),
				 errhint("Ask for some of them at a time.")));
	result = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		if (isnull[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("array \"%s\" has a NULL", name),
					 errdetail("Element %d of %d is NULL.", i + 1, *n),
					 errhint("Leave it out, or leave out the argument for the default.")));
		result[i] = TextDatumGetCString(element[i]);
	}
	return result;
}

/* ---- versions ---- */

static void
refuse_reference(const MlCase *question)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" names a version, but versions to compare are given by number", question->model),
			 errdetail("\"candidate\" and \"champion\" are the numbers; \"model\" is the name alone."),
			 errhint("As in %s.", question->example)));
}

static void
take_version(const MlReference *reference, MlHearing *hearing)
{
	int			v = hearing->nversions++;

	hearing->version[v] = ml_registry_model(reference, ML_PRIVILEGE_READ, CurrentMemoryContext, &hearing->resolved[v]);
}

static void
take_versions(const MlCase *question, MlHearing *hearing)
{
	MlReference reference;

	ml_reference_parse(question->model, (int) strlen(question->model), &reference);
	if (!question->compared)
	{
		take_version(&reference, hearing);
		return;
	}
	if (reference.version != 0 || reference.alias[0] != '\0')
		refuse_reference(question);
	reference.version = question->version;
	take_version(&reference, hearing);
	reference.version = question->champion;
	take_version(&reference, hearing);
}

/* ---- metrics ---- */

static bool
has_metric(const List *metrics, const char *name)
{
	ListCell   *cell;

	foreach(cell, metrics)
	{
		if (strcmp(ml_judge_metric_name(lfirst(cell)), name) == 0)
			return true;
	}
	return false;
}

static bool
by_default(const MlMetric *metric, MlTask task)
{
	return (metric->tasks & task) != 0 && !metric->on_request &&
		ml_interval_rule(metric)->kind != ML_INTERVAL_BOOTSTRAP;
}

List *
ml_hearing_metrics(const char *model, MlTask task, char **name, int n)
{
	List	   *metrics = NIL;

	for (int i = 0; i < n; i++)
		if (!has_metric(metrics, name[i]))
			metrics = lappend(metrics, ml_judge_metric(model, task, name[i]));
	if (metrics != NIL)
		return metrics;
	metrics = list_make1(ml_judge_metric(model, task, NULL));
	for (int i = 0; ml_metrics[i] != NULL; i++)
		if (by_default(ml_metrics[i], task) && !has_metric(metrics, ml_metrics[i]->name))
			metrics = lappend(metrics, ml_judge_metric(model, task, ml_metrics[i]->name));
	return metrics;
}

/* ---- rows that do not count ---- */

/* of all rows: without a label or a prediction, and of training data */
static void
count_left(const MlHearing *hearing, int64 *unlabelled, int64 *seen, int64 *left)
{
	const MlJury *jury = hearing->jury;

	*unlabelled = *seen = *left = 0;
	for (int64 i = 0; i < jury->nrows; i++)
	{
		bool		counts = true;
		bool		trained = false;

		ml_check_row(i);
		for (int v = 0; v < hearing->nversions; v++)
		{
			const MlJudged *judged = hearing->judged[v];

			counts &= judged->counts[i];
			trained |= judged->seen != NULL && judged->seen[i];
		}
		*unlabelled += !counts;
		*seen += counts && trained;
		*left += counts && (!trained || jury->include_seen);
	}
}

static void
refuse_nothing_left(const MlHearing *hearing, int64 seen)
{
	if (seen == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no row can judge model \"%s\"", hearing->resolved[0].model),
				 errdetail("None of " INT64_FORMAT " rows has a label that the model knows and gets a prediction.",
						   hearing->jury->nrows),
				 errhint("Rows need labels of the kind that the model was trained on.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("all rows were in the training data of model \"%s\"", hearing->resolved[0].model),
			 errdetail("Version %d%s was trained on all " INT64_FORMAT " of them, features and target.",
					   hearing->resolved[0].version, hearing->nversions > 1 ? " or the other" : "", seen),
			 errhint("Judge by rows that are new to it, or with include_seen => true, which flatters.")));
}

static void
tell_rows(const MlHearing *hearing)
{
	int64		unlabelled;
	int64		seen;
	int64		left;

	count_left(hearing, &unlabelled, &seen, &left);
	if (left == 0)
		refuse_nothing_left(hearing, seen);
	if (unlabelled > 0)
		ereport(NOTICE,
				(errmsg(INT64_FORMAT " of " INT64_FORMAT " rows have no label that the model knows, or no prediction: left out",
						unlabelled, hearing->jury->nrows)));
	if (seen > 0)
		ereport(NOTICE,
				(errmsg(INT64_FORMAT " of " INT64_FORMAT " rows were in the training data: %s", seen, hearing->jury->nrows,
						hearing->jury->include_seen ? "they flatter" : "left out"),
				 hearing->jury->include_seen ? 0 :
				 errhint("Rows of few different values are equal by chance: where that is so, judge with include_seen => true.")));
	for (int v = 0; v < hearing->nversions; v++)
		if (hearing->judged[v]->seen == NULL)
			ereport(NOTICE,
					(errmsg("which rows version %d of model \"%s\" was trained on is not known",
							hearing->resolved[v].version, hearing->resolved[v].model),
					 errdetail("Imported versions, those trained in SQL and those with the option \"row_fingerprints\": \"none\" do not keep it.")));
}

/* ---- the whole ---- */

static void
open_jury(const MlCase *question, MlHearing *hearing)
{
	MlJuryRequest request = {0};
	MlJurySource source = {0};
	int			number[2];

	for (int v = 0; v < hearing->nversions; v++)
		number[v] = hearing->resolved[v].version;
	request.number = number;
	request.model = hearing->resolved[0].model;
	request.nversions = hearing->nversions;
	request.version = hearing->version;
	request.metrics = hearing->metrics;
	request.include_seen = question->include_seen;
	request.seed = ML_JURY_SEED;
	if (hearing->of_edition)
	{
		source.edition = &hearing->edition;
		source.target = hearing->edition.target;
	}
	else
	{
		source.source = question->source;
		source.target = question->target;
		source.weight = question->weight;
		source.slice = question->slices;
		source.nslices = question->nslices;
	}
	hearing->jury = ml_jury_open(&request, &source);
}

/* what says how a query is read says nothing of an edition, which has a target, weights and slices */
static void
refuse_without_source(const MlCase *question)
{
	const char *name = question->target != NULL ? "target" : question->weight != NULL ? "weight" :
		question->nslices > 0 ? "slices" : NULL;

	if (question->source == NULL && name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" was given without a \"source\"", name),
				 errdetail("It says how a query is read; the rows of a validation set have a target, weights and slices."),
				 errhint(question->target == NULL && question->weight == NULL ?
						 "Make slices of a set with mlops_create_slice, or give source => 'SELECT ...'." :
						 "Leave it out, or give source => 'SELECT ...'.")));
}

void
ml_hearing_open(const MlCase *question, MlHearing *hearing)
{
	memset(hearing, 0, sizeof(MlHearing));
	take_versions(question, hearing);
	hearing->metrics = ml_hearing_metrics(hearing->resolved[0].model, hearing->version[0]->recipe->target.task,
										  question->metrics, question->nmetrics);
	hearing->of_edition = question->source == NULL;
	refuse_without_source(question);
	if (hearing->of_edition)
		ml_edition_open(hearing->resolved[0].model, question->validation_set, question->edition, &hearing->edition);
	open_jury(question, hearing);
	for (int v = 0; v < hearing->nversions; v++)
		hearing->judged[v] = ml_jury_judge(hearing->jury, &hearing->resolved[v], hearing->version[v],
										   hearing->resolved[v].threshold);
	tell_rows(hearing);
}

void
ml_hearing_close(MlHearing *hearing)
{
	ml_jury_end(hearing->jury);
}
