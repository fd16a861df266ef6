/*
 * learn.c
 *		The library of learners: loaded on the first training call, it leaves
 *		its table of functions where mlops finds it. It calls nothing of mlops,
 *		so that it also loads alone.
 */
#include "postgres.h"

#include "fmgr.h"
#include "learn/crew.h"
#include "learn/driver.h"

#include <cblas.h>

/* the server looks for these two; everything else is hidden */
#pragma GCC visibility push(default)
PG_MODULE_MAGIC;

void		_PG_init(void);
#pragma GCC visibility pop

/* the order in which mlops_algorithms() shows them */
const MlAlgorithm *const ml_algorithms[] = {
	&ml_baseline,
	&ml_linear_regression,
	&ml_logistic_regression,
	&ml_glm,
	&ml_linear_svm,
	&ml_naive_bayes,
	&ml_kmeans,
	&ml_mlp,
	&ml_pca,
	&ml_isolation_forest,
	&ml_decision_tree,
	&ml_random_forest,
	&ml_gradient_boosting,
	NULL
};

/* version, build options and the kernel chosen for this processor */
static const char *
blas_version(void)
{
	static char version[256];

	if (version[0] == '\0')
		snprintf(version, sizeof(version), "%s, kernel %s",
				 openblas_get_config(), openblas_get_corename());
	return version;
}

static int
blas_threads(void)
{
	return openblas_get_num_threads();
}

static const MlLearnApi api = {
	.abi = ML_LEARN_ABI,
	.algorithms = ml_algorithms,
	.blas_version = blas_version,
	.blas_threads = blas_threads,
	.fit = ml_driver_fit,
	.work = ml_crew_work,
	.calibrate = ml_calibrate_map,
};

void
_PG_init(void)
{
	/* threads of a library have no place in a backend, and sums must repeat */
	openblas_set_num_threads(1);
	*find_rendezvous_variable(ML_LEARN_RENDEZVOUS) = unconstify(MlLearnApi *, &api);
}
