/* PyPy's own program, with functions of its C interface that a later release has and the one at hand has not.

   An extension module finds such a function wherever the program or its libraries have it. With this program in its
   place, Debian's PyPy 7.3.19 imports modules that were compiled for PyPy 7.3.20; all else is Debian's library. It is
   for the base that stands in for a real one, nowhere else. */

#include <Python.h>

#define LATER __attribute__((visibility("default")))
typedef PyObject *(*create_function)(PyObject *, PyModuleDef *);

int pypy_main_startup(int argc, char *argv[]);
LATER PyObject *PyPyModule_FromDefAndSpec2(PyModuleDef *def, PyObject *spec, int version);

/* Find what makes a module, if its definition has that, and whether something is executed; -1 with an exception set. */
static int read_slots(PyModuleDef *def, PyObject *name, create_function *create, int *executes)
{
    const PyModuleDef_Slot *slot;

    for (slot = def->m_slots; slot && slot->slot; slot++) {
        if (slot->slot == Py_mod_exec)
            *executes = 1;
        else if (slot->slot == Py_mod_create && !*create)
            *create = (create_function)slot->value;
        else {
            PyErr_Format(PyExc_SystemError, "module %U: slot %d is unknown or there twice", name, slot->slot);
            return -1;
        }
    }
    return 0;
}

/* Give a module its definition, functions and documentation; -1 with an exception set. */
static int furnish(PyObject *module, PyModuleDef *def)
{
    PyObject *doc;
    int failed;

    ((PyModuleObject *)module)->md_def = def;
    if (def->m_methods && PyModule_AddFunctions(module, def->m_methods) < 0)
        return -1;
    if (!def->m_doc)
        return 0;
    if (!(doc = PyUnicode_FromString(def->m_doc)))
        return -1;
    failed = PyObject_SetAttrString(module, "__doc__", doc);
    Py_DECREF(doc);
    return failed;
}

/* As https://docs.python.org/3.11/c-api/module.html has it. */
PyObject *PyPyModule_FromDefAndSpec2(PyModuleDef *def, PyObject *spec, int version)
{
    create_function create = NULL;
    PyObject *module = NULL, *name = PyObject_GetAttrString(spec, "name");
    int executes = 0, failed;

    (void)version;
    if (!name)
        return NULL;
    failed = read_slots(def, name, &create, &executes);
    if (!failed && def->m_size < 0) {
        PyErr_Format(PyExc_SystemError, "module %U: m_size may not be negative", name);
        failed = -1;
    }
    if (!failed)
        module = create ? create(spec, def) : PyModule_NewObject(name);
    if (module && PyModule_Check(module))
        failed = furnish(module, def);
    else if (module && (executes || def->m_size > 0 || def->m_traverse || def->m_clear || def->m_free)) {
        PyErr_Format(PyExc_SystemError, "module %U is none, and asks for what modules alone have", name);
        failed = -1;
    }
    Py_DECREF(name);
    if (failed)
        Py_CLEAR(module);
    return module;
}

int main(int argc, char *argv[])
{
    return pypy_main_startup(argc, argv);
}
