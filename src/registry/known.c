/*
 * known.c
 *		What a session remembers of the registry: OIDs of its relations, and
 *		privileges that it has found.
 *
 * A point query resolves a model for one row, so that looking up names and
 * reading the owner and the grants again would cost more than scoring. Both
 * are kept until an invalidation: of the relations themselves (DROP EXTENSION,
 * a write that takes privileges away) or of roles and memberships. Committers
 * send invalidations after they become visible; so an answer read with an old
 * snapshot, or while an invalidation came in, is not kept.
 */
#include "postgres.h"

#include "registry/registry_catalog.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define MAX_RELATIONS	32
#define MAX_PRIVILEGES	1024	/* all are forgotten when there are more */

typedef struct KnownRelation
{
	const char *name;			/* a literal of the caller */
	Oid			oid;
} KnownRelation;

typedef struct PrivilegeKey
{
	char		model[NAMEDATALEN];	/* padded with zeros */
	Oid			user;
	int32		privilege;
} PrivilegeKey;

static KnownRelation relations[MAX_RELATIONS];
static int	nrelations = 0;
static HTAB *privileges = NULL;
static uint64 generation = 0;
static bool registered = false;

static void
forget_privileges(void)
{
	generation++;
	if (privileges != NULL)
	{
		hash_destroy(privileges);
		privileges = NULL;
	}
}

/* counts even if nothing is known: a reader may be on its way */
static void
relation_changed(Datum arg, Oid oid)
{
	generation++;
	for (int i = 0; i < nrelations; i++)
	{
		if (OidIsValid(oid) && relations[i].oid != oid)
			continue;
		nrelations = 0;
		forget_privileges();
		return;
	}
}

static void
role_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	forget_privileges();
}

static void
register_callbacks(void)
{
	if (registered)
		return;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_changed, (Datum) 0);
	registered = true;
}

Oid
ml_known_relation(const char *name)
{
	for (int i = 0; i < nrelations; i++)
		if (relations[i].name == name || strcmp(relations[i].name, name) == 0)
			return relations[i].oid;
	return InvalidOid;
}

void
ml_know_relation(const char *name, Oid oid)
{
	register_callbacks();
	if (nrelations == MAX_RELATIONS)
		return;
	relations[nrelations].name = name;
	relations[nrelations].oid = oid;
	nrelations++;
}

static void
make_key(PrivilegeKey *key, const char *model, Oid user, MlPrivilege privilege)
{
	memset(key, 0, sizeof(PrivilegeKey));
	strlcpy(key->model, model, sizeof(key->model));
	key->user = user;
	key->privilege = privilege;
}

bool
ml_known_privilege(const char *model, Oid user, MlPrivilege privilege)
{
	PrivilegeKey key;

	if (privileges == NULL)
		return false;
	make_key(&key, model, user, privilege);
	return hash_search(privileges, &key, HASH_FIND, NULL) != NULL;
}

uint64
ml_known_generation(void)
{
	register_callbacks();
	return generation;
}

void
ml_know_privilege(const char *model, Oid user, MlPrivilege privilege, uint64 read_at)
{
	PrivilegeKey key;

	if (read_at != generation)
		return;
	register_callbacks();
	if (privileges != NULL && hash_get_num_entries(privileges) >= MAX_PRIVILEGES)
		forget_privileges();
	if (privileges == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(PrivilegeKey);
		control.entrysize = sizeof(PrivilegeKey);
		control.hcxt = CacheMemoryContext;
		privileges = hash_create("mlops known privileges", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	make_key(&key, model, user, privilege);
	hash_search(privileges, &key, HASH_ENTER, NULL);
}

/* the table of models stands for the grants too: nobody knows a privilege without having read it */
void
ml_privileges_changed(void)
{
	CacheInvalidateRelcacheByRelid(ml_catalog_oid("model"));
}
