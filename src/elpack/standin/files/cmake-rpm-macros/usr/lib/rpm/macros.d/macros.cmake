# EL9's cmake macros: builds go to a folder of their own.
%__cmake	/usr/bin/cmake
%__cmake_builddir	%{_vpath_builddir}
%_vpath_srcdir	.
%_vpath_builddir	%{_target_platform}
%cmake	\
%{set_build_flags}\
%{__cmake} -S "%{_vpath_srcdir}" -B "%{__cmake_builddir}" \\\
  -DCMAKE_C_FLAGS_RELEASE:STRING="-DNDEBUG" -DCMAKE_CXX_FLAGS_RELEASE:STRING="-DNDEBUG" \\\
  -DCMAKE_VERBOSE_MAKEFILE:BOOL=ON -DCMAKE_INSTALL_DO_STRIP:BOOL=OFF \\\
  -DCMAKE_INSTALL_PREFIX:PATH=%{_prefix} -DLIB_INSTALL_DIR:PATH=%{_libdir} -DINCLUDE_INSTALL_DIR:PATH=%{_includedir} \\\
  -DSYSCONF_INSTALL_DIR:PATH=%{_sysconfdir} -DSHARE_INSTALL_PREFIX:PATH=%{_datadir} -DLIB_SUFFIX=64 \\\
  -DBUILD_SHARED_LIBS:BOOL=ON
%cmake_build	%{__cmake} --build "%{__cmake_builddir}" %{?_smp_mflags} --verbose
%cmake_install	DESTDIR="%{buildroot}" %{__cmake} --install "%{__cmake_builddir}"
%ctest	ctest --test-dir "%{__cmake_builddir}" --output-on-failure --force-new-ctest-process %{?_smp_mflags}
