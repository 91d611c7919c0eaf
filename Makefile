# make demo: set up and run the whole flow. make test: set up and run the tests. Nothing else needs installing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# glibc then backs large tensors with huge pages: about a fifth faster on the CPU.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: help demo neurotriad test test-keras apk test-android arm-root crosscheck clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[train,export]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.train

demo: $(VENV)/.train  ## install, then run the whole flow on phantom data (10 to 15 minutes on 2 cores)
	$(BIN)/python -m edgekd.audit
	$(BIN)/python -m edgekd.distill --control --resume
	$(BIN)/python -m edgekd.export --format tflite-int8,onnx,openvino
	$(BIN)/python -m edgekd.explain --method occlusion,gradcam
	$(BIN)/python -m edgekd.benchmark --resume

neurotriad: $(VENV)/.dev  ## NeuroTriad-ViT's table on phantom data beside what it states (under 30 minutes; stopped, it goes on)
	$(BIN)/python benchmarks/neurotriad.py

test: $(VENV)/.dev  ## install what tests need and run the checks and the default suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy edgekd
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.venv-keras/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-keras
	.venv-keras/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[keras,train,export]' pytest
	touch $@

test-keras: .venv-keras/.done  ## test what Keras users get, in an environment with tensorflow (needs 7 GB)
	OMP_NUM_THREADS=1 .venv-keras/bin/python -m pytest tests/keras

apk:  ## build the Android demo into android_demo/build (needs a JDK and Maven, no Android SDK)
	$(PYTHON) -m android_demo.hermetic apk

test-android: $(VENV)/.dev  ## test the Android demo: core, activities, the phone's own library, the APK
	-$(BIN)/python -m android_demo.hermetic fetch
	$(BIN)/python -m pytest tests/android

arm-root: $(VENV)/.train  ## fetch what emulated ARM processors run (Debian or Ubuntu)
	$(BIN)/python -m edgekd.devices.arm_root

.venv-crosscheck/.done: pyproject.toml
	$(PYTHON) -m venv .venv-crosscheck
	.venv-crosscheck/bin/pip install --quiet --disable-pip-version-check --editable '.[crosscheck]'
	touch $@

.venv-mediapipe/.done:
	$(PYTHON) -m venv .venv-mediapipe
	.venv-mediapipe/bin/pip install --quiet --disable-pip-version-check mediapipe==1.2.2 pillow
	touch $@

.venv-tflite-runtime/.done:
	$(PYTHON) -m venv .venv-tflite-runtime
	.venv-tflite-runtime/bin/pip install --quiet --disable-pip-version-check tflite-runtime==2.14.0 numpy==1.26.4 pillow
	touch $@

crosscheck: $(VENV)/.dev .venv-crosscheck/.done .venv-mediapipe/.done .venv-tflite-runtime/.done  ## compare with other converters and clients (needs 6 GB)
	EDGEKD_CONVERT_PYTHON=$(CURDIR)/.venv-crosscheck/bin/python \
	EDGEKD_MEDIAPIPE_PYTHON=$(CURDIR)/.venv-mediapipe/bin/python \
	EDGEKD_TFLITE_RUNTIME_PYTHON=$(CURDIR)/.venv-tflite-runtime/bin/python \
	$(BIN)/python -m pytest -m crosscheck tests/crosscheck

clean:  ## remove the environment and everything that runs made
	rm -rf $(VENV) .venv-keras .venv-crosscheck .venv-mediapipe .venv-tflite-runtime runs build android_demo/build
