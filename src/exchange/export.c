/*
 * export.c
 *		mlops_export: a model as text that other systems, or mlops elsewhere, read.
 */
#include "postgres.h"

#include "errors.h"
#include "exchange/exchange.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(mlops_export);

static char *
export_json(const MlExport *export)
{
	MlFields	f;
	MlModel		model = *export->model;

	ml_fields_write(&f);
	ml_model_fields(&f, &model);
	ml_fields_end(&f);
	return f.out.data;
}

static const struct
{
	const char *name;
	char	   *(*write) (const MlExport *export);
}			formats[] = {
	{"json", export_json},
	{"sql", ml_export_sql},
	{"xgboost", ml_export_xgboost},
	{"pmml", ml_export_pmml}
};

void
ml_export_refuse(const MlExport *export, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("version %d of model \"%s\" cannot be exported as \"%s\"", export->resolved->version,
					export->resolved->model, export->format),
			 errdetail("It is of algorithm \"%s\": %s.", export->model->algorithm, why),
			 errhint("%s", hint)));
}

static void
refuse_format(const char *format)
{
	MlNearest	nearest;

	ml_nearest_begin(&nearest, format);
	for (int i = 0; i < (int) lengthof(formats); i++)
		ml_nearest_offer(&nearest, formats[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no format of mlops_export", format),
			 errdetail("The formats are: json, sql, xgboost, pmml."),
			 nearest.best != NULL ? errhint("Perhaps you meant \"%s\".", nearest.best)
			 : errhint("For example mlops_export('churn', 'json').")));
}

/* mlops_export(model text, format text) */
Datum
mlops_export(PG_FUNCTION_ARGS)
{
	text	   *argument = PG_GETARG_TEXT_PP(0);
	char	   *format = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MlReference reference;
	MlResolved	resolved;
	MlExport	export;
	int			f = 0;

	while (f < (int) lengthof(formats) && strcmp(formats[f].name, format) != 0)
		f++;
	if (f == (int) lengthof(formats))
		refuse_format(format);
	ml_reference_parse(VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument), &reference);
	export.model = ml_registry_model(&reference, ML_PRIVILEGE_READ, CurrentMemoryContext, &resolved);
	export.resolved = &resolved;
	export.format = format;
	if (export.model->encoder != NULL)
		ml_export_refuse(&export, "it has an encoder", "Train without \"encoder\".");
	PG_RETURN_TEXT_P(cstring_to_text(formats[f].write(&export)));
}
