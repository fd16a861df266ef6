/*
 * author.c
 *		Reading a training's source as the role that wrote it.
 */
#include "postgres.h"

#include "registry/author.h"
#include "train/train.h"

/* what to do when the author of a source is lost */
static char *
hint_own_source(const MlTraining *training)
{
	if (training->reproduced == 0)
		return "Give a source of your own: changes => '{\"source\": \"...\"}'.";
	if (training->from_kept)
		return psprintf("The version cannot be reproduced; mlops_rows('%s/%d') gives the rows that it kept, to train another from.",
						training->model, training->reproduced);
	return psprintf("The version cannot be reproduced; CALL mlops_retrain('%s/%d', '{\"source\": \"...\"}') trains another from a source of your own.",
					training->model, training->reproduced);
}

void
ml_training_become_author(const MlTraining *training)
{
	MlAuthored	source = {
		.what = "the source",
		.model = training->model,
		.privilege = ML_PRIVILEGE_TRAIN,
		.hint = hint_own_source(training),
	};

	ml_author_become(training->spec.author, &source);
}

void
ml_training_become_trainer(const MlTraining *training)
{
	MlAuthored	policy = {
		.what = "the retraining policy",
		.model = training->model,
		.privilege = ML_PRIVILEGE_TRAIN,
		.hint = "Set it again with mlops_set_retraining().",
	};

	ml_author_become(training->by, &policy);
}
