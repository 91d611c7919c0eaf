package org.edgekd.demo;

import android.app.Activity;
import java.util.function.Supplier;

/** A screen that shows a session, which is there again after the device turned. */
abstract class SessionActivity<S extends ScreenSession> extends Activity {
    final Screen screen = new Screen(this);
    final BackStep back = new BackStep(this, this::stepBack);
    S session;

    /** Shows the session's state. */
    abstract void render();

    /** What going back does first, while {@link #back} is enabled. */
    void stepBack() {}

    /** Puts the screen up, with the session from before the device turned, or a new one; whether it is new. */
    @SuppressWarnings("unchecked") // what onRetainNonConfigurationInstance gave
    final boolean open(int layout, Supplier<S> made) {
        setContentView(layout);
        Edges.fit(findViewById(R.id.screen), findViewById(R.id.notice));
        session = (S) getLastNonConfigurationInstance();
        boolean isNew = session == null;
        if (isNew) {
            session = made.get();
        }
        return isNew;
    }

    @Override
    protected void onStart() {
        super.onStart();
        session.setListener(this::render);
        render();
    }

    @Override
    protected void onStop() {
        session.setListener(null);
        super.onStop();
    }

    @Override
    public final Object onRetainNonConfigurationInstance() {
        return session;
    }

    @Override
    protected void onDestroy() {
        if (!isChangingConfigurations()) {
            session.close();
        }
        super.onDestroy();
    }

    @Override
    @SuppressWarnings("deprecation") // asked before Android 13 only
    public void onBackPressed() {
        if (!back.take()) {
            super.onBackPressed();
        }
    }
}
