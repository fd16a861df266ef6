/*
 * canary.c
 *		The salt of a model's canaries.
 *
 * A canary keeps the salt that it was started with, in the serving row, so that
 * a change of the setting moves nobody from side to side while it runs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "json.h"
#include "registry/canary.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#define SETTING "canary_salt"

static char *
salt_of_settings(const Jsonb *settings)
{
	JsonbValue	value;

	if (!ml_json_find(settings, SETTING, &value) || value.type != jbvString)
		return NULL;
	return ml_json_string(&value);
}

char *
ml_registry_canary_salt(const char *model)
{
	text	   *name = cstring_to_text(model);
	char	   *salt = NULL;
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;

	ml_key_text(key, 0, Anum_ml_model_name, name);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "model", "model_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		settings = heap_getattr(tuple, Anum_ml_model_settings, RelationGetDescr(scan.table), &isnull);

		if (!isnull)
			salt = salt_of_settings(DatumGetJsonbP(settings));
	}
	ml_scan_end(&scan);
	pfree(name);
	return salt ? salt : pstrdup(model);
}
