# SPDX-License-Identifier: Apache-2.0
from conan import ConanFile


class System(ConanFile):
    """boost or openssl, by the names that Conan Center gives their targets: what the system has."""

    package_type = "header-library"

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.includedirs = self.cpp_info.libdirs = self.cpp_info.bindirs = []
        if self.name == "boost":
            self.cpp_info.set_property("cmake_file_name", "Boost")
            headers = self.cpp_info.components["headers"]
            headers.set_property("cmake_target_name", "Boost::headers")
            headers.includedirs = headers.libdirs = headers.bindirs = []
        else:
            self.cpp_info.system_libs = ["ssl", "crypto"]
