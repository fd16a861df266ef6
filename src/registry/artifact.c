/*
 * artifact.c
 *		The bytes that a resolved version scores by, and the rules that it serves with.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "compat.h"
#include "errors.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define MAX_ARTIFACT_BYTES	(ML_ARTIFACT_MAX - 1024)	/* what one datum can hold, with room */

static void
error_artifact(const MlResolved *resolved, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_BAD_ARTIFACT),
			 errmsg("artifact of version %d of model \"%s\" is incomplete",
					resolved->version, resolved->model),
			 errdetail_internal("%s", detail),
			 errhint("SELECT * FROM mlops_verify() checks every stored artifact; retrain the version or restore it from a backup.")));
}

/* appends one part; false if it is not stored. What is wrong is said with no scan open: a shadow's is caught */
static bool
append_part(StringInfo bytes, text *model, const MlResolved *resolved, int part)
{
	ScanKeyData key[3];
	MlScan		scan;
	HeapTuple	tuple;
	bool		found;
	bool		fits = true;

	ml_key_text(key, 0, Anum_ml_artifact_model, model);
	ml_key_int(key, 1, Anum_ml_artifact_version, resolved->version);
	ml_key_int(key, 2, Anum_ml_artifact_part, part);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "artifact", "artifact_pkey", key, 3);
	tuple = ml_scan_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bytea	   *data = ml_column_bytes(&scan, tuple, Anum_ml_artifact_data);

		fits = (int64) bytes->len + VARSIZE_ANY_EXHDR(data) <= MAX_ARTIFACT_BYTES;
		if (fits)
			appendBinaryStringInfo(bytes, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	}
	ml_scan_end(&scan);
	if (!fits)
		error_artifact(resolved, "Its parts together exceed 1 GB.");
	return found;
}

/* a missing part in the middle or at the end shows in the checksum */
bytea *
ml_registry_artifact(const MlResolved *resolved)
{
	text	   *model = cstring_to_text(resolved->model);
	StringInfoData bytes;
	int			part = 0;

	initStringInfo(&bytes);
	appendStringInfoSpaces(&bytes, VARHDRSZ);
	while (append_part(&bytes, model, resolved, part))
	{
		CHECK_FOR_INTERRUPTS();
		part++;
	}
	if (part == 0)
		error_artifact(resolved, "None of its parts is stored.");
	SET_VARSIZE(bytes.data, bytes.len);
	return (bytea *) bytes.data;
}

bytea *
ml_registry_rules(const MlResolved *resolved)
{
	text	   *model = cstring_to_text(resolved->model);
	uint8		digest[ML_SHA256_LENGTH] = {0};
	ScanKeyData key[2];
	MlScan		scan;
	HeapTuple	tuple;
	bytea	   *program = NULL;

	ml_key_text(key, 0, Anum_ml_rule_set_model, model);
	ml_key_int(key, 1, Anum_ml_rule_set_number, resolved->rules);
	ml_scan_begin(&scan, ML_SIGHT_STATEMENT, "rule_set", "rule_set_pkey", key, 2);
	tuple = ml_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bytea	   *stored = ml_column_bytes(&scan, tuple, Anum_ml_rule_set_program);

		program = palloc(VARHDRSZ + VARSIZE_ANY_EXHDR(stored));
		SET_VARSIZE(program, VARHDRSZ + VARSIZE_ANY_EXHDR(stored));
		memcpy(VARDATA(program), VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
		ml_sha256(VARDATA(program), VARSIZE_ANY_EXHDR(program), digest);
	}
	ml_scan_end(&scan);
	if (program == NULL || memcmp(digest, resolved->rules_sha256, ML_SHA256_LENGTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("rule set %d of model \"%s\" is corrupt", resolved->rules, resolved->model),
				 program == NULL ? errdetail("It is not stored.") :
				 errdetail("Its bytes do not have the checksum of the rules that serve."),
				 errhint("Serve without it: mlops_promote(%s, %d, rules => 0); or restore it from a backup.",
						 quote_literal_cstr(resolved->model), resolved->version)));
	return program;
}

static bytea *
load_artifact(void *arg)
{
	return ml_registry_artifact((const MlResolved *) arg);
}

/* what is wrong with bytes is told by code that does not know whose they are */
static void
say_which_version(void *arg)
{
	const MlResolved *resolved = arg;

	errcontext("version %d of model \"%s\"", resolved->version, resolved->model);
}

const MlModel *
ml_registry_acquire(const MlResolved *resolved, MemoryContext owner)
{
	ErrorContextCallback context;
	const MlModel *model;

	context.callback = say_which_version;
	context.arg = unconstify(MlResolved *, resolved);
	context.previous = error_context_stack;
	error_context_stack = &context;
	model = ml_model_acquire(resolved->sha256, load_artifact, context.arg, owner);
	error_context_stack = context.previous;
	return model;
}

const MlModel *
ml_registry_model(const MlReference *reference, MlPrivilege privilege,
				  MemoryContext owner, MlResolved *resolved)
{
	ml_registry_resolve(reference, privilege, resolved);
	return ml_registry_acquire(resolved, owner);
}
