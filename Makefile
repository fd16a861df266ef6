# mlops: machine learning in the database. See README.md.
# The installed extension has two libraries: mlops (score, decide; no linear
# algebra) and mlops_learn (fit; OpenBLAS), built by src/learn/Makefile.
#
#   make demo, make check, make bench, make load, make lint, make readme
#       need nothing but Debian: they install what is missing, build in a
#       temporary directory, use a server of their own there and remove it all
#   make, make install, make installcheck
#       build for the PostgreSQL of PG_CONFIG, install into it, test its server

STEPS = demo check bench load lint readme
ifneq ($(filter $(STEPS),$(MAKECMDGOALS)),)

.PHONY: $(STEPS)
$(STEPS):
	@DEMO_DATA='$(DATA)' test/run/sandbox $@

else

EXTENSION = mlops
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" mlops.control)
MODULE_big = mlops

# pieces of the install script, in the order in which they are concatenated
SQL_PIECES = \
	sql/install/10_catalog.sql \
	sql/install/20_model.sql \
	sql/install/25_recipe.sql \
	sql/install/26_metric.sql \
	sql/install/30_train.sql \
	sql/install/33_search.sql \
	sql/install/35_fold.sql \
	sql/install/38_citus.sql \
	sql/install/40_score.sql \
	sql/install/42_bundle.sql \
	sql/install/44_validate.sql \
	sql/install/46_judge.sql \
	sql/install/48_gate.sql \
	sql/install/49_rule.sql \
	sql/install/50_deploy.sql \
	sql/install/52_shadow.sql \
	sql/install/53_log.sql \
	sql/install/55_watch.sql \
	sql/install/56_drift.sql \
	sql/install/56_trace.sql \
	sql/install/57_retrain.sql \
	sql/install/58_rollout.sql \
	sql/install/59_monitor.sql \
	sql/install/59_status.sql \
	sql/install/59_tick.sql \
	sql/install/60_look.sql \
	sql/install/65_exchange.sql \
	sql/install/90_grants.sql

# rooms of mlops.so; num, learn and algo make mlops_learn.so
ROOMS = \
	frame \
	recipe \
	predictor \
	model \
	score \
	metric \
	drift \
	rule \
	registry \
	deploy \
	train \
	fold \
	search \
	exchange \
	validate \
	judge \
	log \
	watch \
	retrain \
	rollout \
	monitor \
	tick

OBJS = \
	src/mlops.o src/settings.o src/errors.o src/budget.o src/roc.o src/sort.o src/attempt.o src/result.o src/image.o src/json.o src/num/distribution.o \
	$(patsubst %.c,%.o,$(sort $(wildcard $(addsuffix /*.c,$(addprefix src/,$(ROOMS))))))
ALL_HEADERS = $(wildcard src/*.h src/*/*.h)

DATA_built = sql/mlops--$(EXTVERSION).sql
EXTRA_CLEAN = sql/mlops--$(EXTVERSION).sql

# the regression tests, in story order: also the table of contents
REGRESS = \
	model \
	source \
	recipe \
	metrics \
	metric_aggregates \
	metric_ranks \
	metric_states \
	business_metric \
	profile \
	predict \
	predict_input \
	predict_rewrite \
	predict_places \
	predict_prepared \
	bundle \
	state \
	train \
	train_call \
	train_params \
	train_spec \
	train_types \
	engine \
	engine_choice \
	engine_classes \
	engine_holdout \
	engine_types \
	engine_unsupervised \
	holdout \
	longley \
	norris \
	elastic_net \
	logistic \
	multinomial \
	unsupervised \
	kmeans \
	pca \
	isolation_forest \
	glm \
	glm_offset \
	linear_svm \
	naive_bayes \
	mlp \
	calibration \
	encoder \
	class_weight \
	decision_tree \
	random_forest \
	gradient_boosting \
	reproduce \
	repeatable \
	lineage \
	training_profile \
	train_errors \
	train_privileges \
	search \
	group_by \
	train_author \
	validation_set \
	edition \
	slices \
	pins \
	label_queue \
	tick \
	validation_set_errors \
	validation_set_privileges \
	promote \
	rollback \
	rollback_walk \
	canary \
	canary_errors \
	rule_language \
	rule_errors \
	rule_sets \
	rules \
	check_rules \
	checks \
	checks_errors \
	propose_checks \
	alias \
	interval \
	evaluate \
	compare \
	threshold \
	error_slices \
	seen_rows \
	evaluate_errors \
	gate \
	gate_query \
	gate_exempt \
	approval \
	privileges \
	drop \
	look \
	trees \
	explain \
	permutation \
	score_log \
	statistics \
	shadow \
	shadow_compare \
	shadow_errors \
	shadow_tasks \
	outcomes \
	performance \
	canary_report \
	rollout \
	monitor \
	monitor_bounds \
	monitor_inputs \
	alert \
	monitor_errors \
	slo \
	serving_at \
	trace \
	retraining \
	retraining_errors \
	argument_errors \
	quality_by_age \
	drift \
	drift_errors \
	adwin \
	artifact \
	exchange
REGRESS_OPTS = --inputdir=test --load-extension=mlops

# two sessions at once: specs in test/specs
SPECS = \
	promote_race \
	promote_scan \
	rules_scan \
	shadow_race \
	canary_scan \
	train_and_rollback \
	train_unlocked \
	retrain_unlocked \
	retrain_race \
	notice \
	revoke \
	metric_drop \
	refresh_race \
	rollout_race \
	monitor_race
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=mlops

# servers of their own: dump and restore, standby, crash, real data
IPC_RUN := $(shell perl -MIPC::Run -e 'print 1' 2>/dev/null)
ifeq ($(IPC_RUN),1)
TAP_TESTS = 1
endif
PROVE_TESTS ?= test/t/*.pl

PG_CPPFLAGS = -I$(srcdir)/src -DMLOPS_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare -Wno-cast-function-type -Wno-clobbered -Wno-psabi -ffp-contract=off

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error found no server headers through PG_CONFIG=$(PG_CONFIG); install postgresql-server-dev-15, or try "make demo", which installs what it needs)
endif
# Debian's package of 13 has not the program that runs them
ISOLATION_RUN := $(wildcard $(dir $(PGXS))../../src/test/isolation/pg_isolation_regress)
ifneq ($(ISOLATION_RUN),)
ISOLATION = $(SPECS)
endif
include $(PGXS)

$(OBJS): $(ALL_HEADERS)

sql/mlops--$(EXTVERSION).sql: $(SQL_PIECES) mlops.control
	cat $(SQL_PIECES) > $@

installcheck: say-without
say-without:
	@test -n '$(ISOLATION_RUN)' || echo 'Without the isolation tests: this server comes without pg_isolation_regress'
	@test -n '$(IPC_RUN)' || echo 'Without the TAP tests of test/t: Perl has no IPC::Run (Debian: libipc-run-perl)'

all: learn
install: install-learn
clean: clean-learn
.PHONY: learn install-learn clean-learn say-without
learn:
	$(MAKE) -C src/learn all PG_CONFIG='$(PG_CONFIG)'
install-learn:
	$(MAKE) -C src/learn install PG_CONFIG='$(PG_CONFIG)' DESTDIR='$(DESTDIR)'
clean-learn:
	$(MAKE) -C src/learn clean PG_CONFIG='$(PG_CONFIG)'

endif
