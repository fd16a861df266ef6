/*
 * gate_row.h
 *		Gates and approvals as they are stored.
 */
#ifndef ML_GATE_ROW_H
#define ML_GATE_ROW_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "registry/author.h"

typedef struct MlGate
{
	char	   *name;
	char	   *metric;			/* NULL: a query */
	double		minimum;		/* of these NaN: not asked */
	double		maximum;
	double		max_drop;
	double		min_gain;
	char	   *validation_set; /* NULL: the model's only one */
	int			nslices;		/* 0: all rows */
	char	  **slice;
	int64		min_rows;
	bool		blocks;			/* severity: block, or warn */
	bool		lenient;		/* only what is shown to be worse fails */
	bool		on_interval;	/* minimum and maximum, too */
	char	   *query;
	int			timeout_ms;
	MlAuthor	author;
} MlGate;

/* a gate of the same name is replaced */
extern void ml_registry_set_gate(const char *model, const MlGate *gate);
extern bool ml_registry_drop_gate(const char *model, const char *name);

/* those of a model by name, in the current context; a list of MlGate * */
extern List *ml_registry_gates(const char *model);

/*
 * A NOTICE that names the gates which a validation set, or one of its slices (NULL: the set), is dropped from under:
 * they stay closed until it is there again. Called before it goes; none: nothing is said.
 */
extern void ml_gates_tell_dropped(const char *model, const char *validation_set, const char *slice);

/* by the current user, once a version; false: there is no such version */
extern bool ml_registry_approve(const char *model, int version, const char *note);

/* names of the roles that have approved a version, in the current context */
extern List *ml_registry_approvers(const char *model, int version);

#endif							/* ML_GATE_ROW_H */
