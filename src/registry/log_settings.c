/*
 * log_settings.c
 *		What a model's settings say of the log of its predictions, remembered
 *		by the session.
 *
 * Asked for every statement that scores in a server with a log, so what was
 * read is kept until an invalidation, as privileges are (known.c). Whether a
 * call is logged may follow a change of the setting a moment late. What a
 * transaction of an old snapshot reads is not kept.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "json.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define MAX_KNOWN	1024		/* all are forgotten when there are more */

typedef struct KnownSettings
{
	char		model[NAMEDATALEN];	/* padded with zeros */
	MlLogSettings settings;
} KnownSettings;

static HTAB *known = NULL;
static uint64 known_generation = 0;

static bool
is_true(Jsonb *json, const char *key)
{
	JsonbValue	value;

	return ml_json_find(json, key, &value) && value.type == jbvBool && value.val.boolean;
}

static void
read_settings(const char *model, MlLogSettings *settings)
{
	ScanKeyData key[1];
	MlScan		scan;
	HeapTuple	tuple;
	text	   *name = cstring_to_text(model);

	settings->sample = -1.0;
	settings->input = settings->without_key = settings->statistics = false;
	ml_key_text(key, 0, Anum_ml_model_name, name);
	ml_scan_begin(&scan, ML_SIGHT_NOW, "model", "model_pkey", key, 1);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_ml_model_settings,
										 RelationGetDescr(scan.table), &isnull);
		Jsonb	   *json = isnull ? NULL : DatumGetJsonbPCopy(datum);
		JsonbValue	value;

		if (json != NULL)
		{
			if (ml_json_find(json, "log_sample", &value) && value.type == jbvNumeric)
				settings->sample = ml_json_number(&value);
			settings->input = is_true(json, "log_input");
			settings->without_key = is_true(json, "log_without_key");
			settings->statistics = is_true(json, "statistics");
			pfree(json);
		}
	}
	ml_scan_end(&scan);
	pfree(name);
}

static void
forget(uint64 generation)
{
	HASHCTL		control = {0};

	if (known != NULL)
		hash_destroy(known);
	control.keysize = NAMEDATALEN;
	control.entrysize = sizeof(KnownSettings);
	control.hcxt = CacheMemoryContext;
	known = hash_create("mlops known log settings", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	known_generation = generation;
}

void
ml_registry_log_settings(const char *model, MlLogSettings *settings)
{
	uint64		generation = ml_known_generation();
	char		name[NAMEDATALEN] = {0};
	KnownSettings *entry;

	strlcpy(name, model, NAMEDATALEN);
	if (known == NULL || generation != known_generation || hash_get_num_entries(known) >= MAX_KNOWN)
		forget(generation);
	entry = hash_search(known, name, HASH_FIND, NULL);
	if (entry != NULL)
	{
		*settings = entry->settings;
		return;
	}
	read_settings(model, settings);
	if (IsolationUsesXactSnapshot() || IsInParallelMode() || generation != ml_known_generation())
		return;
	entry = hash_search(known, name, HASH_ENTER, NULL);
	entry->settings = *settings;
}
