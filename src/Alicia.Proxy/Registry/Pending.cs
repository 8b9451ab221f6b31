namespace Alicia.Proxy.Registry;

/// <summary>A change on its way through the writer, with the caller that waits for it.</summary>
internal interface IPending
{
    /// <summary>Applies the change; returns the draft that the next change builds on.</summary>
    RegistryDraft Apply(RegistryDraft draft);

    /// <summary>Answers the caller with what <see cref="Apply"/> found. After the commit and the swap.</summary>
    void Complete();

    /// <summary>Answers the caller with a refusal that is not the change's own. No effect once answered.</summary>
    void Refuse(Rejection rejection, long revision);

    /// <summary>Gives the caller an exception. No effect once answered.</summary>
    void Fail(Exception exception);
}

internal sealed class Pending<T>(IRegistryChange<T> change) : IPending
{
    private ChangeResult<T> _result;

    public TaskCompletionSource<ChangeResult<T>> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public RegistryDraft Apply(RegistryDraft draft)
    {
        var own = draft.Fork();
        try
        {
            var (value, rejection) = change.Apply(own);
            _result = new ChangeResult<T>(rejection is null ? value : default, rejection, rejection is null ? own.Snapshot.Revision : draft.Snapshot.Revision);
            return rejection is null ? own : draft;
        }
        catch (Exception e)
        {
            // A bug in one change must not take the writer, and with it every other caller, down. The caller gets the exception.
            Completion.TrySetException(e);
            return draft;
        }
    }

    public void Complete() => Completion.TrySetResult(_result);

    public void Refuse(Rejection rejection, long revision) =>
        Completion.TrySetResult(_result.Rejection is null ? new ChangeResult<T>(default, rejection, revision) : _result);

    public void Fail(Exception exception) => Completion.TrySetException(exception);
}
