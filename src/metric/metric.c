/*
 * metric.c
 *		The table of metrics, and what they share: names, and the default of
 *		each task.
 */
#include "postgres.h"

#include "metric/measure.h"

const MlMetric *
ml_metric_find(const char *name)
{
	for (int i = 0; ml_metrics[i] != NULL; i++)
	{
		if (strcmp(ml_metrics[i]->name, name) == 0)
			return ml_metrics[i];
	}
	return NULL;
}

void
ml_metric_forget(MlShared *shared)
{
	if (shared->ranked != NULL)
		pfree(shared->ranked);
	if (shared->walk != NULL)
		pfree(shared->walk);
	if (shared->table != NULL)
		pfree(shared->table);
	memset(shared, 0, sizeof(MlShared));
}

const MlMetric *
ml_metric_default(MlTask task)
{
	switch (task)
	{
		case ML_TASK_REGRESSION:
			return &ml_metric_rmse;
		case ML_TASK_BINARY:
			return &ml_metric_roc_auc;
		case ML_TASK_MULTICLASS:
			return &ml_metric_log_loss;
		case ML_TASK_CLUSTER:
			return &ml_metric_inertia;
		case ML_TASK_PROJECTION:
			return &ml_metric_explained_variance;
		case ML_TASK_ANOMALY:
			break;
	}
	return NULL;
}

/* in the order in which mlops_metrics() lists them */
const MlMetric *const ml_metrics[] = {
	&ml_metric_rmse,
	&ml_metric_mae,
	&ml_metric_r2,
	&ml_metric_median_absolute_error,
	&ml_metric_max_error,
	&ml_metric_mape,
	&ml_metric_smape,
	&ml_metric_poisson_deviance,
	&ml_metric_gamma_deviance,
	&ml_metric_pinball_05,
	&ml_metric_pinball_10,
	&ml_metric_pinball_25,
	&ml_metric_pinball_75,
	&ml_metric_pinball_90,
	&ml_metric_pinball_95,
	&ml_metric_roc_auc,
	&ml_metric_pr_auc,
	&ml_metric_ks,
	&ml_metric_gain_10,
	&ml_metric_lift_10,
	&ml_metric_log_loss,
	&ml_metric_brier,
	&ml_metric_expected_calibration_error,
	&ml_metric_accuracy,
	&ml_metric_balanced_accuracy,
	&ml_metric_precision,
	&ml_metric_recall,
	&ml_metric_f1,
	&ml_metric_specificity,
	&ml_metric_mcc,
	&ml_metric_macro_precision,
	&ml_metric_macro_recall,
	&ml_metric_macro_f1,
	&ml_metric_micro_precision,
	&ml_metric_micro_recall,
	&ml_metric_micro_f1,
	&ml_metric_top_2_accuracy,
	&ml_metric_top_3_accuracy,
	&ml_metric_top_5_accuracy,
	&ml_metric_inertia,
	&ml_metric_explained_variance,
	&ml_metric_silhouette,
	NULL
};
