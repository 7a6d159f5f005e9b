#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds two model servers for the CPU, both from the sources of llama-cpp-python on PyPI: llama.cpp's own llama-server,
# and llama-cpp-python's over FastAPI; and writes a tiny random model for them.
#
#   sh tests/model_servers.sh FOLDER       then: cmake -DMLFLOW_TRACE_MODEL_SERVERS=FOLDER …, and ctest -L model_servers
#
# Environment: JOBS (default 1) of the build, which takes ten minutes on one core. FOLDER must be an absolute path.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
folder=${1:?usage: model_servers.sh FOLDER}
version=0.3.36
mkdir -p "$folder"
cd "$folder"

if [ ! -x venv/bin/python ]; then
    python3 -m venv venv
    venv/bin/python -m pip install --quiet --disable-pip-version-check 'gguf==0.19.0' 'openai==2.*' fastapi uvicorn \
        sse-starlette starlette-context pydantic-settings jinja2 diskcache numpy PyYAML
fi
if [ ! -d llama_cpp_python-$version ]; then
    venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
        "llama-cpp-python==$version"
    tar xzf llama_cpp_python-$version.tar.gz
fi
if [ ! -x build/bin/llama-server ]; then
    cmake -S llama_cpp_python-$version/vendor/llama.cpp -B build -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_C_FLAGS_RELEASE='-O1 -g0' -DCMAKE_CXX_FLAGS_RELEASE='-O0 -g0' -DBUILD_SHARED_LIBS=ON \
        -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
        -DLLAMA_USE_PREBUILT_UI=OFF
    ninja -C build -j"${JOBS:-1}" llama-server
fi
ln -sfn llama_cpp_python-$version llama_cpp_python
venv/bin/python "$here/mlflow/_tiny_model.py" tiny.gguf
