/*
 * cache.c
 *		The session's decoded models, keyed by the SHA-256 of their bytes.
 *
 * A key is the content, so an entry is never stale and nothing invalidates
 * it: which checksum serves is the registry's business. (A model's name and
 * version number would not do: after a rolled-back training the same number
 * goes to other bytes.)
 *
 * A model is pinned by an owner, a memory context, and can be used until that
 * is reset or deleted. Owner and model have one pin however often they meet:
 * a call site that acquires on every row registers one callback. Models
 * without pins stay until the sum of sizes exceeds mlops.artifact_cache; then
 * the least recently acquired ones go first. A model larger than the setting
 * lives as long as its pins.
 *
 * An error while loading leaves nothing behind: bytes and model are in the
 * caller's context until the model is complete, and an entry is only made then.
 */
#include "postgres.h"

#include "compat.h"
#include "errors.h"
#include "lib/ilist.h"
#include "model/model.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct MlEntry
{
	uint8		sha256[ML_SHA256_LENGTH];	/* key */
	MlModel    *model;
	int			npins;
	dlist_node	recent;			/* in cache.recent */
} MlEntry;

typedef struct MlPinKey
{
	MemoryContext owner;
	MlEntry    *entry;
} MlPinKey;

/* in the owner's memory, so that it goes when the owner does */
typedef struct MlPin
{
	MlPinKey	key;
	MemoryContextCallback release;
} MlPin;

typedef struct MlPinned
{
	MlPinKey	key;
} MlPinned;

static struct
{
	MemoryContext cxt;			/* of the tables and of all models */
	HTAB	   *entries;
	HTAB	   *pins;			/* which (owner, entry) have a callback */
	dlist_head	recent;			/* most recently acquired first */
	Size		size;			/* of all models */
}			cache;

void
ml_sha256(const void *bytes, Size length, uint8 *digest)
{
	if (!ml_compat_sha256(bytes, length, digest))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 checksum"),
				 errdetail("The server's cryptographic library refused it for %zu bytes.", length),
				 errhint("Check the configuration of the server's OpenSSL, if it is built with it.")));
}

static void
begin_cache(void)
{
	HASHCTL		ctl;

	if (cache.pins != NULL)
		return;
	if (cache.cxt == NULL)
		cache.cxt = AllocSetContextCreate(TopMemoryContext, "mlops models", ALLOCSET_SMALL_SIZES);
	if (cache.entries == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = ML_SHA256_LENGTH;
		ctl.entrysize = sizeof(MlEntry);
		ctl.hcxt = cache.cxt;
		dlist_init(&cache.recent);
		cache.entries = hash_create("mlops models", 16, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(MlPinKey);
	ctl.entrysize = sizeof(MlPinned);
	ctl.hcxt = cache.cxt;
	cache.pins = hash_create("mlops model pins", 16, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void		(*ml_model_cache_pressure) (void) = NULL;

bool
ml_model_cache_is_full(void)
{
	return cache.size > (Size) ml_artifact_cache_kb * 1024;
}

/* Raises nothing: it also runs while an owner is being reset. */
static void
evict(void)
{
	Size		limit = (Size) ml_artifact_cache_kb * 1024;
	dlist_node *node;

	if (!ml_model_cache_is_full())
		return;
	/* may come back here for each pin that is released */
	if (ml_model_cache_pressure)
		ml_model_cache_pressure();
	node = dlist_is_empty(&cache.recent) ? NULL : dlist_tail_node(&cache.recent);
	while (node != NULL && cache.size > limit)
	{
		MlEntry    *entry = dlist_container(MlEntry, recent, node);

		node = dlist_has_prev(&cache.recent, node) ? dlist_prev_node(&cache.recent, node) : NULL;
		if (entry->npins > 0)
			continue;
		cache.size -= entry->model->size;
		MemoryContextDelete(entry->model->cxt);
		dlist_delete(&entry->recent);
		hash_search(cache.entries, entry->sha256, HASH_REMOVE, NULL);
	}
}

static void
release_pin(void *arg)
{
	MlPin	   *pin = arg;

	hash_search(cache.pins, &pin->key, HASH_REMOVE, NULL);
	pin->key.entry->npins--;
	evict();
}

static void
pin_entry(MlEntry *entry, MemoryContext owner)
{
	MlPinKey	key;
	MlPin	   *pin;

	memset(&key, 0, sizeof(key));
	key.owner = owner;
	key.entry = entry;
	if (hash_search(cache.pins, &key, HASH_FIND, NULL) != NULL)
		return;

	/* what can fail comes first; an owner's unused pin is only a few bytes of it */
	pin = MemoryContextAlloc(owner, sizeof(MlPin));
	pin->key = key;
	pin->release.func = release_pin;
	pin->release.arg = pin;
	hash_search(cache.pins, &key, HASH_ENTER, NULL);
	entry->npins++;
	MemoryContextRegisterResetCallback(owner, &pin->release);
}

static char *
hex_of(const uint8 *digest)
{
	char	   *hex = palloc(ML_SHA256_LENGTH * 2 + 1);

	hex[hex_encode((const char *) digest, ML_SHA256_LENGTH, hex)] = '\0';
	return hex;
}

MlModel *
ml_model_load(const uint8 *sha256, const bytea *artifact, MemoryContext parent)
{
	const char *bytes = VARDATA_ANY(artifact);
	Size		length = VARSIZE_ANY_EXHDR(artifact);
	uint8		found[ML_SHA256_LENGTH];
	MlModel    *model;

	ml_sha256(bytes, length, found);
	if (memcmp(found, sha256, ML_SHA256_LENGTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_ML_BAD_ARTIFACT),
				 errmsg("artifact of the model does not have the checksum it was stored with"),
				 errdetail("SHA-256 of its %zu bytes: found %s, expected %s.",
						   length, hex_of(found), hex_of(sha256)),
				 errhint("Restore the stored bytes from a backup or train the version again; mlops_verify() checks every stored artifact.")));
	model = ml_model_read(bytes, length, parent);
	memcpy(model->sha256, sha256, ML_SHA256_LENGTH);
	return model;
}

static MlEntry *
find_entry(const uint8 *sha256)
{
	return hash_search(cache.entries, sha256, HASH_FIND, NULL);
}

static MlEntry *
enter_model(MlModel *model)
{
	MlEntry    *entry = hash_search(cache.entries, model->sha256, HASH_ENTER, NULL);

	entry->model = model;
	entry->npins = 0;
	dlist_push_head(&cache.recent, &entry->recent);
	cache.size += model->size;
	MemoryContextSetParent(model->cxt, cache.cxt);
	return entry;
}

const MlModel *
ml_model_acquire(const uint8 *sha256, MlArtifactLoader loader, void *arg, MemoryContext owner)
{
	MlEntry    *entry;

	begin_cache();
	entry = find_entry(sha256);
	if (entry == NULL)
	{
		MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "mlops load model",
												  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(cxt);
		MlModel    *model = ml_model_load(sha256, loader(arg), cxt);

		/* the loader reads tables, and what runs there might have come here too */
		entry = find_entry(sha256);
		if (entry == NULL)
			entry = enter_model(model);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
	}
	else if (dlist_head_node(&cache.recent) != &entry->recent)
		dlist_move_head(&cache.recent, &entry->recent);
	pin_entry(entry, owner);
	evict();
	return entry->model;
}
