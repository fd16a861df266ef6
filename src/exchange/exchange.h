/*
 * exchange.h
 *		Models out of and into other systems.
 *
 * Export writes a model as text of a format; import makes a version from a
 * document. What is imported goes through the writer and the reader of
 * artifacts like any fit, so that it scores, explains, validates and promotes
 * like any other version.
 */
#ifndef ML_EXCHANGE_H
#define ML_EXCHANGE_H

#include "postgres.h"

#include "exchange/fields.h"
#include "model/model.h"
#include "registry/registry.h"

#define ML_DOCUMENT_FORMAT	1	/* of our JSON */
#define ML_IMPORT_SET_WORDS	(1 << 24)	/* of the splits of categories: a few bytes of a document can ask for many */

/* what is known about a model that leaves */
typedef struct MlExport
{
	const MlModel *model;
	const MlResolved *resolved;
	const char *format;			/* for messages */
} MlExport;

/* 0A000: this kind of model has no such form */
extern void ml_export_refuse(const MlExport *export, const char *why, const char *hint);

extern char *ml_export_sql(const MlExport *export);
extern char *ml_export_xgboost(const MlExport *export);
extern char *ml_export_pmml(const MlExport *export);

/* what the caller of an import says besides the document */
typedef struct MlImport
{
	const char *model;
	const char *target;			/* NULL: the model's, or the document's */
	const char *link;			/* coefficients: identity, logit, log...; NULL: by the task */
	const char *positive;		/* labels of two classes; NULL: true and false */
	const char *negative;
	char	  **classes;		/* labels of several, NULL: 0, 1, 2... */
	int			nclasses;
	Jsonb	   *levels;			/* xgboost: {"plan": ["basic", "pro"]} for coded categories; or NULL */
	MlTask		task;			/* the model's; 0: not known yet */
} MlImport;

/* the model of a document, in the current context: recipe finished, predictor filled in */
extern void ml_import_json(Jsonb *document, MlModel *model);
extern void ml_import_coefficients(const MlImport *import, Jsonb *document, MlModel *model);
extern void ml_import_xgboost(const MlImport *import, Jsonb *document, MlModel *model);

/* ---- shared ---- */

/* both directions of our own JSON */
extern void ml_model_fields(MlFields *f, MlModel *model);
extern void ml_trees_fields(MlFields *f, const MlRecipe *recipe, MlTrees *trees);

/* a recipe that is made by hand */
extern MlRecipe *ml_recipe_by_hand(int maxfeatures);
extern void ml_recipe_add_number(MlRecipe *recipe, const char *name, double fill);

/* a category whose levels need not be in order; codes of the levels as given; or NULL */
extern void ml_recipe_add_category(MlRecipe *recipe, const char *name, char **level, int nlevels, int32 *code);
extern void ml_target_by_hand(const MlImport *import, MlTask task, int nclasses, MlTarget *target);

#endif							/* ML_EXCHANGE_H */
