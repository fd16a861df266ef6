/*
 * author.h
 *		Stored pieces of SQL - sources, slices, metrics, gates - and running them
 *		as who wrote them.
 *
 * A piece keeps its author's name and the settings that its text was read
 * under. It runs as the author, who must still hold the privilege on the model,
 * in a read-only level of settings. Where the author is not the current user it
 * runs as a security-restricted operation, and not at all in a session with
 * temporary objects, which could stand in for what the text names.
 */
#ifndef ML_AUTHOR_H
#define ML_AUTHOR_H

#include "postgres.h"

#include "registry/registry.h"
#include "utils/jsonb.h"

#define ML_NSETTINGS		7
extern const char *const ml_setting_names[ML_NSETTINGS];

typedef struct MlAuthor
{
	char	   *role;			/* NULL: the current user */
	char	   *settings[ML_NSETTINGS];	/* NULL: the session's */
} MlAuthor;

/* the current user with the session's settings, in the current context */
extern void ml_author_here(MlAuthor *author);

/* {"search_path": ...}, to be stored with the role's name, and back */
extern Jsonb *ml_author_settings_json(const MlAuthor *author);
extern void ml_author_read(MlAuthor *author, const char *role, Jsonb *settings);

/* what is run, for the words of errors */
typedef struct MlAuthored
{
	const char *what;			/* "the source", "slice \"young\"" */
	const char *model;
	MlPrivilege privilege;		/* that the author must still hold on it */
	const char *hint;			/* what to do when the author is lost; a whole sentence */
} MlAuthored;

typedef struct MlAuthorScope
{
	Oid			user;
	int			security;
	int			level;
	CommandId	command;		/* before the text runs */
} MlAuthorScope;

/*
 * Opens a scope in which the settings of the author hold, transactions are
 * read-only and the author is the current user. Errors: 42704 the role is gone,
 * 42501 it lost the privilege, 55000 temporary objects. An error inside needs
 * no cleaning up. Leaving rolls back every setting made inside, and refuses what
 * got around being read-only (25006).
 */
extern void ml_author_enter(const MlAuthor *author, const MlAuthored *what, MlAuthorScope *scope);
extern void ml_author_leave(const MlAuthorScope *scope);

/*
 * The parts of it, for a caller with a scope of settings of its own: makes the
 * author, if somebody else, the current user. The caller goes back to who it was.
 */
extern void ml_author_become(const char *role, const MlAuthored *what);

/* sets one setting until the level of settings that is open ends */
extern void ml_author_set(const char *name, const char *value);

/*
 * Opens a level of settings in which no lock is waited for longer than some seconds, or than
 * lock_timeout if that is set: for what others wait for. Its number, to be ended by AtEOXact_GUC(false, ...).
 */
extern int	ml_author_hurry(void);

#endif							/* ML_AUTHOR_H */
