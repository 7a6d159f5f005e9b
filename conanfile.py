# SPDX-License-Identifier: Apache-2.0
import pathlib
import re

from conan import ConanFile
from conan.tools.files import copy


class MlflowTrace(ConanFile):
    """Headers alone. The component `beast`, unless it is turned off, takes Boost and OpenSSL from the system."""

    name = "mlflow_trace"
    description = "Records traces of GenAI applications, with their users and sessions, for MLflow"
    license = "Apache-2.0"
    package_type = "header-library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"beast": [True, False]}
    default_options = {"beast": True}
    exports_sources = "include/*", "LICENSE"
    no_copy_source = True
    test_package_folder = "tests/package/conan"

    def set_version(self):
        config = pathlib.Path(self.recipe_folder, "include/mlflow/trace/config.hpp").read_text()
        self.version = re.search(r'#define MLFLOW_TRACE_VERSION "(.*)"', config).group(1)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "*", f"{self.source_folder}/include", f"{self.package_folder}/include")
        copy(self, "LICENSE", self.source_folder, f"{self.package_folder}/licenses")

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "mlflow_trace")
        self.add_component("mlflow_trace", system_libs=["pthread"])
        if self.options.beast:
            self.add_component("beast", system_libs=["ssl", "crypto"], requires=["mlflow_trace"])

    def add_component(self, name, system_libs, requires=()):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"mlflow_trace::{name}")
        component.bindirs = component.libdirs = []
        component.system_libs = system_libs
        component.requires = list(requires)
