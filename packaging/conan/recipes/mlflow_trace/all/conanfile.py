# SPDX-License-Identifier: Apache-2.0
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class MlflowTraceConan(ConanFile):
    name = "mlflow_trace"
    description = "Records traces of GenAI applications, with their users and sessions, for MLflow"
    license = "Apache-2.0"
    url = "https://github.com/conan-io/conan-center-index"
    homepage = "@HOMEPAGE@"
    topics = ("tracing", "observability", "genai", "llm", "opentelemetry", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"with_beast": [True, False]}
    default_options = {"with_beast": True}
    no_copy_source = True

    def layout(self):
        basic_layout(self, src_folder="src")

    def requirements(self):
        if self.options.with_beast:
            self.requires("boost/1.83.0")
            self.requires("openssl/[>=1.1 <4]")

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os == "Windows":
            raise ConanInvalidConfiguration(f"{self.ref} needs POSIX.")

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "mlflow_trace")
        core = self._component("mlflow_trace", "mlflow_trace")
        if self.settings.os in ["Linux", "FreeBSD"]:
            core.system_libs = ["pthread"]
        if self.options.with_beast:
            beast = self._component("beast", "mlflow_trace-beast")
            beast.requires = ["mlflow_trace", "boost::headers", "openssl::openssl"]

    def _component(self, name, pkg_config_name):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"mlflow_trace::{name}")
        component.set_property("pkg_config_name", pkg_config_name)
        component.bindirs = component.libdirs = []
        return component
